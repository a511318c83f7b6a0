    for (var j = lane; j < width; j += LANES) {
        let g = gate[start + j];
        // Beyond 80 the exponential leaves f32.
        y[start + j] = g / (1.0 + exp(min(-g, 80.0))) * up[start + j];
    }
