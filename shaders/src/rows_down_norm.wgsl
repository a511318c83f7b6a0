    var squares = 0.0;
    for (var j = lane; j < width; j += LANES) {
        let value = x[start + j];
        squares += value * value;
    }
    let scale = inverseSqrt(row_sum(squares, lane) / f32(width) + bitcast<f32>(info[0].z));
    for (var j = lane; j < width; j += LANES) {
        y[start + j] = x[start + j] * scale * w[j];
    }
