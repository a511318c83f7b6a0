
const FRACTION_BITS: u32 = $FRACTION_BITSu;
const BIAS: u32 = (1u << (6u - FRACTION_BITS)) - 1u;

// The values of four 8-bit floats, which are finite. A subnormal one, exponent 0, is a multiple of the smallest.
fn values(word: u32) -> vec4<f32> {
    let codes = (vec4<u32>(word) >> EVERY_EIGHT) & vec4<u32>(255u);
    let sizes = codes & vec4<u32>(127u);
    let normal = bitcast<vec4<f32>>((sizes << vec4<u32>(23u - FRACTION_BITS)) + vec4<u32>((127u - BIAS) << 23u));
    let smallest = bitcast<f32>((128u - BIAS - FRACTION_BITS) << 23u);
    let subnormal = smallest * vec4<f32>(sizes);
    let size = select(normal, subnormal, sizes < vec4<u32>(1u << FRACTION_BITS));
    return select(size, -size, codes > vec4<u32>(127u));
}

fn scale(row: u32, column: u32) -> f32 {
    let across = ($SHAPES.w + $SHAPES.z - 1u) / $SHAPES.z;
    return bitcast<f32>(word_at($PLANES.x + row / $SHAPES.y * across + column / $SHAPES.z));
}

fn one(row: u32, column: u32) -> f32 {
    let i = row * $SHAPES.w + column;
    return values(word_at(i >> 2u))[i & 3u] * scale(row, column);
}

fn scales(row: u32, column: u32) -> vec4<f32> {
    return vec4<f32>(
        scale(row, column),
        scale(row, column + 1u),
        scale(row, column + 2u),
        scale(row, column + 3u),
    );
}

fn $EIGHT(row: u32, column: u32) -> Eight {
    let i = (row * $SHAPES.w + column) / 4u;
    // Tiles of a multiple of eight columns have one scale here.
    if $SHAPES.z % 8u == 0u || $SHAPES.z >= $SHAPES.w {
        let s = scale(row, column);
        return Eight(s * values(word_at(i)), s * values(word_at(i + 1u)));
    }
    return Eight(scales(row, column) * values(word_at(i)), scales(row, column + 4u) * values(word_at(i + 1u)));
}
