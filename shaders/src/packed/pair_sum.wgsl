
fn right_of(column: u32, q: u32) -> f32 {
    let rank = info[3].x;
    let n = info[0].y;
    let own = min(column, n - 1u);
    if q >= rank {
        return right1[(q - rank) * n + own];
    }
    return right0[q * n + own];
}

fn store(example: u32, row: u32, column: u32, total: f32) {
    if row < info[0].x && column < info[0].y {
        out[row * info[0].y + column] = total$ADD;
    }
}

