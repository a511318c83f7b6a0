        for (var i = local; i < COLUMNS * DEEP / 4u; i += 256u) {
            // Four terms of the sum for one column of outputs, which is a row of W.
            let column = i / (DEEP / 4u);
            let four = i % (DEEP / 4u);
            var values = vec4<f16>();
            if left + column < n && start + 4u * four < k {
                values = w[((left + column) * k + start) / 4u + four];
            }
            b_slice[four * B_ROW + column] = values;
        }
