        for (var i = local; i < DEEP * COLUMNS / 4u; i += 256u) {
            // Four columns of outputs for one term of the sum, which is a row of W.
            let p = i / (COLUMNS / 4u);
            let four = i % (COLUMNS / 4u);
            var values = vec4<f16>();
            if left + 4u * four < n && start + p < k {
                values = w[((start + p) * n + left) / 4u + four];
            }
            b_slice[p * B_ROW + four] = values;
        }
