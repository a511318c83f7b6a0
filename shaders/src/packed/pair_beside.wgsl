
// Columns of the first product, then of the second; each has its own r.
fn right_of(column: u32, q: u32) -> f32 {
    let rank = info[3].x;
    let size = info[0].y / 2u;
    let own = min(column, info[0].y - 1u);
    let of_second = q >= rank;
    if of_second != (own >= size) {
        return 0.0;
    }
    if of_second {
        return right1[(own - size) * rank + q - rank];
    }
    return right0[own * rank + q];
}

fn store(example: u32, row: u32, column: u32, total: f32) {
    let size = info[0].y / 2u;
    if row < info[0].x && column < info[0].y {
        let value = total$ADD;
        if column >= size {
            out1[row * size + column - size] = value;
        } else {
            out0[row * size + column] = value;
        }
    }
}

