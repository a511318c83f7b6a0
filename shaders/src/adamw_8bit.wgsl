// AdamW with block-wise 8-bit moments: m and v are decoded, the step is taken with them, and they are encoded anew.
@group(0) @binding(0) var<storage, read_write> p: array<f32>;
@group(0) @binding(1) var<storage, read_write> g: array<f32>;
// Codes of m, codes of v (four a word), absmax of m, absmax of v (the bits of a float).
@group(0) @binding(2) var<storage, read_write> state: array<u32>;
// The values of m's codes, then of v's, ascending.
@group(0) @binding(3) var<storage, read_write> tables: array<f32>;
$SCALES
@group(0) @binding($NEW_P) var<storage, read_write> new_p: array<f32>;
@group(0) @binding($NEW_STATE) var<storage, read_write> new_state: array<u32>;
// len, the gradient's scale or the number of scales, 1 − lr·decay, lr/c1; β1, 1 − β1, β2, 1 − β2; 1/√c2, eps, words of codes, blocks
@group(0) @binding($INFO) var<uniform> info: array<vec4<u32>, 3>;

// Words of codes in a block, and codes in a table.
const WORDS: u32 = 64u;
const CODES: u32 = 256u;
// The smallest normal number: below it, a block is as good as zeros.
const SMALLEST: f32 = 1.1754944e-38;

// The moments of the four elements of a word; 0 past the end.
struct Moments {
    mean: vec4<f32>,
    square: vec4<f32>,
}

fn elements_of(word: u32) -> vec4<u32> {
    return vec4<u32>(4u * word) + vec4<u32>(0u, 1u, 2u, 3u);
}

fn values_of(at: vec4<u32>) -> vec4<f32> {
    return vec4<f32>(tables[at.x], tables[at.y], tables[at.z], tables[at.w]);
}

fn decoded(codes: u32, table: u32) -> vec4<f32> {
    let four = (vec4<u32>(codes) >> vec4<u32>(0u, 8u, 16u, 24u)) & vec4<u32>(255u);
    return values_of(four + vec4<u32>(table));
}

fn moved(word: u32, block: u32) -> Moments {
    let len = info[0].x;
    let words = info[2].z;
    let absmax = 2u * words + block;
    let i = elements_of(word);
    let safe = min(i, vec4<u32>(len - 1u));
    let betas = bitcast<vec4<f32>>(info[1]);
    let slope = vec4<f32>(g[safe.x], g[safe.y], g[safe.z], g[safe.w]) * $SCALE;
    let mean = decoded(state[word], 0u) * bitcast<f32>(state[absmax]);
    let square = decoded(state[words + word], CODES) * bitcast<f32>(state[absmax + info[2].w]);
    let inside = i < vec4<u32>(len);
    return Moments(
        select(vec4<f32>(), betas.x * mean + betas.y * slope, inside),
        select(vec4<f32>(), betas.z * square + betas.w * slope * slope, inside),
    );
}

fn largest(values: vec4<f32>) -> f32 {
    let two = max(values.xy, values.zw);
    return max(two.x, two.y);
}

// The codes nearest to four values: how many midpoints between neighbours of the table are below each.
fn encoded(values: vec4<f32>, table: u32, word: u32) -> u32 {
    var codes = vec4<u32>();
    for (var half = CODES / 2u; half > 0u; half = half / 2u) {
        let upper = codes + vec4<u32>(table + half);
        let midpoints = (values_of(upper - vec4<u32>(1u)) + values_of(upper)) * 0.5;
        codes += select(vec4<u32>(), vec4<u32>(half), midpoints < values);
    }
    let kept = select(vec4<u32>(), codes, elements_of(word) < vec4<u32>(info[0].x));
    return kept.x | (kept.y << 8u) | (kept.z << 16u) | (kept.w << 24u);
}

@compute @workgroup_size(INVOCATIONS)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let block = block_of(group, groups, local);
    let lane = lane_of(local);
    let words = info[2].z;
    let blocks = info[2].w;
    // Nothing changes after the end of all steps.
    let ended = $ENDED;
    if block >= blocks {
        return;
    }
    let first = block * WORDS;
    let end = min(first + WORDS, words);
    var most = vec2<f32>();
    for (var word = first + lane; word < end; word += LANES) {
        let moments = moved(word, block);
        most = max(most, vec2<f32>(largest(abs(moments.mean)), largest(moments.square)));
    }
    let absmax = block_max(most, lane);
    let is_zero = absmax < vec2<f32>(SMALLEST);
    let factor = select(1.0 / max(absmax, vec2<f32>(SMALLEST)), vec2<f32>(), is_zero);
    if lane == 0u {
        let kept = bitcast<vec2<u32>>(select(absmax, vec2<f32>(), is_zero));
        let of_mean = 2u * words + block;
        let of_square = of_mean + blocks;
        new_state[of_mean] = select(kept.x, state[of_mean], ended);
        new_state[of_square] = select(kept.y, state[of_square], ended);
    }
    let root = bitcast<f32>(info[2].x);
    let eps = bitcast<f32>(info[2].y);
    for (var word = first + lane; word < end; word += LANES) {
        let moments = moved(word, block);
        let change = bitcast<f32>(info[0].w) * moments.mean / (sqrt(moments.square) * root + vec4<f32>(eps));
        let i = elements_of(word);
        for (var part = 0u; part < 4u; part++) {
            if i[part] < info[0].x {
                let old = p[i[part]];
                new_p[i[part]] = select(old * bitcast<f32>(info[0].z) - change[part], old, ended);
            }
        }
        new_state[word] = select(encoded(moments.mean * factor.x, 0u, word), state[word], ended);
        let square = words + word;
        new_state[square] = select(encoded(moments.square * factor.y, CODES, word), state[square], ended);
    }
}
