var<workgroup> query: array<f32, 256>;
var<workgroup> own_key: array<f32, 256>;
var<workgroup> shares: array<f32, 256>;

// A workgroup a head: LANES keys at a time, each invocation the score of one, then each a column of what is mixed, of some keys.
@compute @workgroup_size(INVOCATIONS)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let head = row_of(group, groups, local);
    let lane = lane_of(local);
    if head >= info[0].x {
        return;
    }
    let tokens = info[0].z;
    let dim = info[0].w;
    let width = info[0].x / info[0].y * dim;
    // Where values begin, in what is kept and in all.
    let of_values = tokens * width;
    let behind = (tokens + 1u) * width;
    let here = head * dim;
    let there = head / info[0].y * dim;
    let middle = dim / 2u;
    if lane < middle {
        let c = cosines[lane];
        let s = sines[lane];
        let left = queries[here + lane];
        let right = queries[here + middle + lane];
        query[lane] = left * c - right * s;
        query[middle + lane] = right * c + left * s;
        let key_left = keys[there + lane];
        let key_right = keys[there + middle + lane];
        own_key[lane] = key_left * c - key_right * s;
        own_key[middle + lane] = key_right * c + key_left * s;
    }
    workgroupBarrier();
    // One of the heads that share keys puts them where all are.
    if head % info[0].y == 0u {
        for (var i = lane; i < tokens * dim; i += LANES) {
            let token = i / dim;
            let place = token * width + there + i - token * dim;
            all[place] = kept[place];
            all[behind + place] = kept[of_values + place];
        }
        if lane < dim {
            all[of_values + there + lane] = own_key[lane];
            all[behind + of_values + there + lane] = values[there + lane];
        }
    }
    // The column that an invocation mixes, and the first of the keys that it does so for.
    let column = lane % dim;
    let part = lane / dim;
    let parts = LANES / dim;
    var peak = LOWEST;
    var sum = 0.0;
    var mixed = 0.0;
    for (var first = info[1].x; first <= tokens; first += LANES) {
        let key = first + lane;
        var s = LOWEST;
        if key < tokens {
            var product = 0.0;
            for (var d = 0u; d < dim; d++) {
                product += query[d] * kept[key * width + there + d];
            }
            s = score(product);
        } else if key == tokens {
            var product = 0.0;
            for (var d = 0u; d < dim; d++) {
                product += query[d] * own_key[d];
            }
            s = score(product);
        }
        let next = max(peak, row_max(s, lane));
        let fade = exp(peak - next);
        peak = next;
        let share = select(exp(s - peak), 0.0, key > tokens);
        shares[lane] = share;
        sum = sum * fade + share;
        workgroupBarrier();
        mixed *= fade;
        if part < parts {
            for (var j = part; j < min(LANES, tokens + 1u - first); j += parts) {
                if first + j < tokens {
                    mixed += shares[j] * kept[of_values + (first + j) * width + there + column];
                } else {
                    mixed += shares[j] * values[there + column];
                }
            }
        }
        workgroupBarrier();
    }
    let total = row_sum(sum, lane);
    partials[lane] = mixed;
    workgroupBarrier();
    if lane < dim {
        var value = 0.0;
        for (var p = 0u; p < parts; p++) {
            value += partials[p * dim + lane];
        }
        out[here + lane] = value / total;
    }
}
