// What a product is added besides: scale · l · rᵀ, l [m, rank], r [n, rank] ([rank, n] where sums of r go across its rows).
@group(0) @binding($LEFT) var<storage, read_write> low_left: array<f32>;
@group(0) @binding($RIGHT) var<storage, read_write> low_right: array<f32>;

fn low_rank() -> u32 {
    return info[$LOW].x;
}

fn left_of(row: u32, q: u32) -> f32 {
    return bitcast<f32>(info[$LOW].y) * low_left[min(row, info[0].x - 1u) * low_rank() + q];
}

fn right_of(column: u32, q: u32) -> f32 {
    let own = min(column, info[0].y - 1u);
    return low_right[select(own * low_rank() + q, q * info[0].y + own, $ACROSS)];
}

fn low_rank_at(row: u32, column: u32) -> f32 {
    var total = 0.0;
    for (var q = 0u; q < low_rank(); q++) {
        total += left_of(row, q) * right_of(column, q);
    }
    return total;
}
