//! Pictures that explain, each as HTML text: an image, a sentence on it, and the same numbers as a table.
//!
//! They are made without a browser, and hold no `style` attribute, so that they are shown under any Content-Security-Policy;
//! colours are in the image itself or in classes of `public/parts.css`. The numbers come from the engine
//! (`lorakeet_core::protocol::Picture`).

mod chart;
mod image;
mod table;
mod words;

pub use chart::{Series, chart, path, to_svg};
pub use table::numbers;
use words::Pair;
pub use words::{PictureWords, picture_words};

use crate::format;
use image::{Scale, image};
use lorakeet_core::protocol::{Picture, PictureKind, TokenProbability};
use lorakeet_i18n::Language;
use std::fmt::Write;
use table::{Grid, rows_of};

/// Layers that the table of their updates tells of at most.
const LAYERS_IN_TABLE: usize = 48;

/// A picture with its sentence and its table; `step` is the optimizer step that it shows, where it belongs to a run.
pub fn html(picture: &Picture, step: Option<usize>, language: Language) -> String {
    let words = picture_words(language);
    let (title, summary, body) = parts(picture, words);
    let at = step.map(|step| (words.at_step)(step)).unwrap_or_default();
    let name = PictureKind::from(picture).name();
    format!(
        "<figure class=\"picture\" data-picture=\"{name}\"><figcaption><b>{title}</b> {at}\
         <span class=\"picture-summary\">{summary}</span></figcaption>{body}</figure>"
    )
}

/// Title, sentence, and images with their table.
fn parts(picture: &Picture, words: &PictureWords) -> (&'static str, String, String) {
    match picture {
        Picture::Tokens { tokens } => (words.tokens, (words.tokens_summary)(&mean_probabilities(tokens)), {
            token_row(tokens) + &folded(words, &token_table(tokens, words))
        }),
        Picture::LoraUpdate {
            module,
            rows,
            columns,
            shape,
            rank,
            values,
            largest,
            norm,
            weight_norm,
        } => {
            let share = norm / weight_norm;
            let summary = (words.update_summary)(&escaped(module), *shape, *rank, *norm, share);
            let drawn = image(values, *rows, *columns, Scale::Signed, &summary);
            let grid = Grid::plain(values, *rows, *columns, (words.output, words.input));
            let caption = (words.largest)(format::loss(*largest));
            (words.update, summary, drawn + &folded(words, &grid.table(&caption)))
        }
        Picture::Attention {
            layer,
            head,
            layers,
            heads,
            tokens,
            weights,
        } => {
            let summary = (words.attention_summary)((*layer, *layers), (*head, *heads), strongest(tokens, weights));
            let count = tokens.len();
            let drawn = image(weights, count, count, Scale::From(0.0), &summary);
            let names: Vec<String> = tokens.iter().map(|token| visible(token)).collect();
            let mut grid = Grid::plain(weights, count, count, ("", ""));
            grid.row_names.clone_from(&names);
            grid.column_names = names;
            (
                words.attention,
                summary,
                drawn + &folded(words, &grid.table(words.attention_table)),
            )
        }
        Picture::LossSurface {
            names,
            x,
            y,
            columns,
            rows,
            losses,
            path,
        } => {
            let ends = path.first().zip(path.last());
            let ends = ends.map(|(first, last)| (format::loss(first.2), format::loss(last.2), path.len() - 1));
            let summary = (words.surface_summary)(&escaped(&names.0), &escaped(&names.1), ends);
            let logs: Vec<f32> = losses.iter().map(|loss| loss.max(1e-6).ln()).collect();
            let logs = upwards(&logs, *columns);
            let drawn = image(&logs, *rows, *columns, Scale::Between, &summary);
            let drawn = format!("<div class=\"surface\">{drawn}{}</div>", way(path, *x, *y));
            let steps = rows_of(path.iter().enumerate(), 12, |(step, place)| {
                let number = |value: f64| format::loss(value);
                vec![step.to_string(), number(place.0), number(place.1), number(place.2)]
            });
            let heads = [
                words.step.to_owned(),
                escaped(&names.0),
                escaped(&names.1),
                words.loss.to_owned(),
            ];
            (
                words.surface,
                summary,
                drawn + &folded(words, &numbers(words.surface_table, &heads, &steps)),
            )
        }
        Picture::PackedWeights {
            module,
            format,
            rows,
            columns,
            original,
            decoded,
            levels,
            root_mean_square_error,
            original_bytes,
            packed_bytes,
        } => {
            let sizes = (format::bytes(*original_bytes), format::bytes(*packed_bytes));
            let error = format::small(*root_mean_square_error);
            let summary = (words.packed_summary)(&escaped(module), &escaped(format), sizes, error);
            let pair = [(words.original, original), (words.decoded, decoded)].map(|(name, values)| {
                let drawn = image(values, *rows, *columns, Scale::Signed, &format!("{name}: {summary}"));
                format!("<div><p class=\"picture-name\">{name}</p>{drawn}</div>")
            });
            let weights = rows_of(original.iter().zip(decoded), 24, |(before, after)| {
                let number = |value: f32| format::small(f64::from(value));
                vec![number(*before), number(*after), number(after - before)]
            });
            let heads = [words.original, words.decoded, words.difference].map(str::to_owned);
            let table = numbers(&(words.levels)(levels.len()), &heads, &weights);
            let body = format!(
                "<div class=\"picture-pair\">{}</div>{}",
                pair.concat(),
                folded(words, &table)
            );
            (words.packed, summary, body)
        }
        Picture::Units {
            layer,
            layers,
            inputs,
            x,
            y,
            columns,
            rows,
            units,
            output,
        } => {
            let summary = (words.units_summary)(units.len(), (*layer, *layers), &escaped(&inputs.join(", ")));
            let mut drawn = String::new();
            let mut tables = String::new();
            let of_units = units
                .iter()
                .enumerate()
                .map(|(place, unit)| ((words.unit)(place + 1), unit, Scale::Signed));
            let of_output = output
                .iter()
                .map(|values| (words.unit_output.to_owned(), values, Scale::Between));
            for (name, values, scale) in of_units.chain(of_output) {
                let picture = image(&upwards(values, *columns), *rows, *columns, scale, &name);
                let _ = write!(drawn, "<div><p class=\"picture-name\">{name}</p>{picture}</div>");
                let mut grid = Grid::plain(values, *rows, *columns, ("", ""));
                grid.column_names = places(*x, *columns);
                grid.row_names = y.map_or(vec![String::new(); *rows], |y| places(y, *rows));
                tables += &grid.table(&name);
            }
            let body = format!("<div class=\"units\">{drawn}</div>{}", folded(words, &tables));
            (words.units, summary, body)
        }
        Picture::LayerUpdates {
            layers,
            modules,
            shares,
            gradients,
            gradient_step,
        } => {
            let map = LayerMap { layers, modules, words };
            let shown = layer_updates(&map, shares);
            match gradient_step.filter(|_| !gradients.is_empty()) {
                Some(step) => {
                    let (title, summary, body) = shown;
                    (title, summary, body + &layer_gradients(&map, gradients, step))
                }
                None => shown,
            }
        }
    }
}

/// Numbers of modules, in rows of layers and columns of modules.
struct LayerMap<'a> {
    layers: &'a [String],
    modules: &'a [String],
    words: &'a PictureWords,
}

impl LayerMap<'_> {
    fn name(&self, layer: &str) -> String {
        match layer.is_empty() {
            true => self.words.outside_of_layers.to_owned(),
            false => escaped(layer),
        }
    }

    /// The largest number with its module.
    fn largest(&self, cells: &[f32], show: fn(f32) -> String) -> Option<(String, String)> {
        let columns = self.modules.len();
        let places = cells.iter().copied().take(self.layers.len() * columns).enumerate();
        let places = places.filter(|(_, number)| number.is_finite());
        places.max_by(|a, b| a.1.total_cmp(&b.1)).map(|(place, number)| {
            let (layer, module) = (&self.layers[place / columns], escaped(&self.modules[place % columns]));
            let path = match layer.is_empty() {
                true => module,
                false => format!("{}.{module}", escaped(layer)),
            };
            (path, show(number))
        })
    }

    /// An image of the layers from the top, a column a module, and the same as a table.
    fn drawn(&self, cells: &[f32], show: fn(f32) -> String, (summary, caption): (&str, &str)) -> String {
        // An image's text has no tags.
        let spoken = summary.replace("<code>", "").replace("</code>", "");
        let columns = self.modules.len();
        let drawn = image(cells, self.layers.len(), columns, Scale::From(0.0), &spoken);
        let heads = self.modules.iter().map(|module| escaped(module));
        let heads: Vec<String> = [String::new()].into_iter().chain(heads).collect();
        let number = |place: usize| cells.get(place).copied().filter(|number| number.is_finite());
        let rows = rows_of(self.layers.iter().enumerate(), LAYERS_IN_TABLE, |(row, layer)| {
            let places = row * columns..(row + 1) * columns;
            let cells = places.map(|place| number(place).map_or("–".to_owned(), show));
            [self.name(layer)].into_iter().chain(cells).collect()
        });
        let table = numbers(caption, &heads, &rows);
        format!(
            "<div class=\"layer-updates\">{drawn}</div>{}",
            folded(self.words, &table)
        )
    }
}

/// The updates of all modules, in percent.
fn layer_updates(map: &LayerMap<'_>, shares: &[f32]) -> (&'static str, String, String) {
    let words = map.words;
    let modules = map
        .modules
        .iter()
        .map(|module| format!("<code>{}</code>", escaped(module)));
    let modules: Vec<String> = modules.collect();
    let ends = map.layers.first().zip(map.layers.last());
    let ends = ends.map(|(first, last)| (map.name(first), map.name(last)));
    let largest = map.largest(shares, part_in_percent);
    let summary = (words.layer_updates_summary)(ends, &modules.join(", "), largest);
    let drawn = map.drawn(shares, part_in_percent, (&summary, words.layer_updates_table));
    (words.layer_updates, summary, drawn)
}

/// The norms of their gradients in a step, below the updates.
fn layer_gradients(map: &LayerMap<'_>, norms: &[f32], step: usize) -> String {
    let words = map.words;
    let show = |norm: f32| format::small(f64::from(norm));
    let summary = (words.layer_gradients_summary)(step, map.largest(norms, show));
    let drawn = map.drawn(norms, show, (&summary, words.layer_gradients_table));
    format!(
        "<p class=\"picture-name\">{}</p><p>{summary}</p>{drawn}",
        words.layer_gradients
    )
}

/// A share of any size in percent: at the beginning of a run updates are thousandths of one.
fn part_in_percent(share: f32) -> String {
    match 100.0 * f64::from(share) {
        0.0 => "0 %".to_owned(),
        part if part < 0.995 => format!("{part:.3} %"),
        _ => format::share(f64::from(share)),
    }
}

/// The numbers of a picture, folded. Scrollers are no landmarks: all pictures have one of this name.
fn folded(words: &PictureWords, tables: &str) -> String {
    let name = words.as_table;
    format!(
        "<details class=\"fold\"><summary>{name}</summary>\
         <div class=\"table-scroll\" tabindex=\"0\" role=\"group\" aria-label=\"{name}\">{tables}</div></details>"
    )
}

/// The mean probability of a text's tokens: of the base model, and of the trained one.
fn mean_probabilities(tokens: &[TokenProbability]) -> (Option<f64>, Option<f64>) {
    // The mean of logarithms, as a loss takes it.
    let mean = |of: fn(&TokenProbability) -> Option<f64>| {
        let logs: Vec<f64> = tokens.iter().filter_map(of).map(|p| p.max(1e-300).ln()).collect();
        (!logs.is_empty()).then(|| (logs.iter().sum::<f64>() / logs.len() as f64).exp())
    };
    (mean(|token| token.base), mean(|token| token.tuned))
}

/// The text, each token with a shade for how likely it was: above by the base model, below by the trained one.
fn token_row(tokens: &[TokenProbability]) -> String {
    let mut text = String::from("<p class=\"token-row\" aria-hidden=\"true\">");
    for token in tokens {
        let shade = |p: Option<f64>| match p {
            None => "none".to_owned(),
            // Ten shades, by how surprising the token was: a factor of e² each from certain to 1 in 10⁸.
            Some(p) => ((-p.max(1e-9).ln() / 2.0) as usize).min(9).to_string(),
        };
        let (base, tuned) = (shade(token.base), shade(token.tuned));
        let shown = visible(&token.text);
        let _ = write!(
            text,
            "<span class=\"chance\"><i class=\"shade-{base}\"></i>{shown}<i class=\"shade-{tuned}\"></i></span>"
        );
    }
    text + "</p>"
}

fn token_table(tokens: &[TokenProbability], words: &PictureWords) -> String {
    let heads = [words.token, words.base, words.tuned, words.likeliest].map(str::to_owned);
    let rows: Vec<Vec<String>> = tokens
        .iter()
        .map(|token| {
            let share = |p: Option<f64>| p.map_or("–".to_owned(), format::share);
            let likeliest = match token.likeliest.is_empty() {
                true => "–".to_owned(),
                false => format!(
                    "{} {}",
                    visible(&token.likeliest),
                    format::share(token.likeliest_probability)
                ),
            };
            vec![visible(&token.text), share(token.base), share(token.tuned), likeliest]
        })
        .collect();
    numbers(words.tokens_table, &heads, &rows)
}

/// The pair of tokens with the largest weight off the diagonal.
fn strongest(tokens: &[String], weights: &[f32]) -> Pair {
    let count = tokens.len();
    let places = (0..count).flat_map(|row| (0..count).map(move |column| (row, column)));
    let apart = places.filter(|(row, column)| row != column);
    let weight = |(row, column): &(usize, usize)| weights.get(row * count + column).copied().unwrap_or(0.0);
    let (row, column) = apart.max_by(|a, b| weight(a).total_cmp(&weight(b)))?;
    let share = format::share(f64::from(weight(&(row, column))));
    Some((visible(&tokens[row]), visible(&tokens[column]), share))
}

/// The optimizer's way over a surface of the square 100 × 100, y upwards.
fn way(path: &[(f64, f64, f64)], x: (f64, f64), y: (f64, f64)) -> String {
    let along = |value: f64, (low, high): (f64, f64)| 100.0 * ((value - low) / (high - low)).clamp(0.0, 1.0);
    let mut line = String::new();
    for (place, point) in path.iter().enumerate() {
        let (x, y) = (along(point.0, x), 100.0 - along(point.1, y));
        let _ = write!(line, "{}{x:.2} {y:.2}", if place == 0 { 'M' } else { 'L' });
    }
    let end = |point: Option<&(f64, f64, f64)>, class: &str| {
        point.map_or(String::new(), |point| {
            let (x, y) = (along(point.0, x), 100.0 - along(point.1, y));
            format!("<circle class=\"{class}\" cx=\"{x:.2}\" cy=\"{y:.2}\" r=\"1.6\"/>")
        })
    };
    let (first, last) = (end(path.first(), "way-start"), end(path.last(), "way-end"));
    format!(
        "<svg viewBox=\"0 0 100 100\" preserveAspectRatio=\"none\" aria-hidden=\"true\">\
         <path class=\"way\" d=\"{line}\"/>{first}{last}</svg>"
    )
}

/// The rows from the last to the first: the first one, the lowest of an axis that goes upwards, is then at the bottom.
fn upwards(values: &[f32], columns: usize) -> Vec<f32> {
    values.chunks(columns.max(1)).rev().flatten().copied().collect()
}

/// The places of cells along an axis.
fn places((low, high): (f64, f64), cells: usize) -> Vec<String> {
    let step = (high - low) / (cells.max(2) - 1) as f64;
    (0..cells).map(|cell| format::loss(low + step * cell as f64)).collect()
}

/// A token as it is shown: spaces and line ends can be seen.
fn visible(token: &str) -> String {
    escaped(&token.replace(' ', "·").replace('\n', "↵"))
}

/// A text inside HTML.
pub fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            letter => safe.push(letter),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(text: &str, base: Option<f64>, tuned: Option<f64>) -> TokenProbability {
        TokenProbability {
            text: text.into(),
            base,
            tuned,
            likeliest: "<b>".into(),
            likeliest_probability: 0.5,
        }
    }

    #[test]
    fn what_a_token_is_made_of_is_text_and_never_a_tag() {
        let tokens = vec![token("<script>", None, None), token(" a&b", Some(0.25), Some(0.5))];
        let text = html(&Picture::Tokens { tokens }, Some(3), Language::English);
        assert!(
            text.contains("&lt;script&gt;") && text.contains("·a&amp;b") && text.contains("&lt;b&gt;"),
            "{text}"
        );
        assert!(!text.contains("<script") && !text.contains("style="), "{text}");
        assert!(text.contains("25 %") && text.contains("50 %"), "{text}");
    }

    #[test]
    fn a_surface_says_where_its_path_began_and_ended() {
        let picture = Picture::LossSurface {
            names: ("weight".into(), "bias".into()),
            x: (0.0, 1.0),
            y: (0.0, 2.0),
            columns: 2,
            rows: 2,
            losses: vec![1.0, 2.0, 3.0, f32::INFINITY],
            path: vec![(0.0, 0.0, 1.0), (1.0, 2.0, 0.125)],
        };
        let text = html(&picture, None, Language::English);
        assert!(text.contains("M0.00 100.00L100.00 0.00"), "{text}");
        assert!(text.contains("1.000") && text.contains("0.125"), "{text}");
    }

    #[test]
    fn the_lowest_row_of_an_axis_that_goes_upwards_is_at_the_bottom() {
        assert_eq!(upwards(&[1.0, 2.0, 3.0, 4.0], 2), [3.0, 4.0, 1.0, 2.0]);
    }

    #[test]
    fn the_strongest_attention_is_named() {
        let tokens = ["a".to_owned(), "b".to_owned()];
        let found = strongest(&tokens, &[1.0, 0.0, 0.75, 0.25]);
        assert_eq!(found, Some(("b".into(), "a".into(), "75 %".into())));
    }

    #[test]
    fn the_largest_update_is_named_and_every_share_is_in_the_table() {
        let picture = Picture::LayerUpdates {
            layers: vec!["layers.0".into(), "layers.1".into(), String::new()],
            modules: vec!["self_attn.q_proj".into(), "<wte>".into()],
            shares: vec![0.01, f32::NAN, 0.031, f32::NAN, f32::NAN, 0.002],
            gradients: vec![0.25, f32::NAN, 0.5, f32::NAN, f32::NAN, 0.125],
            gradient_step: Some(40),
        };
        let text = html(&picture, Some(4), Language::English);
        assert!(
            text.contains("3.1 % in <code>layers.1.self_attn.q_proj</code>"),
            "{text}"
        );
        assert!(
            text.contains("<code>&lt;wte&gt;</code>") && !text.contains("<wte>"),
            "{text}"
        );
        assert!(
            !text.contains("alt=\"<code>") && !text.contains("&lt;code&gt;"),
            "{text}"
        );
        assert_eq!(text.matches("<th scope=\"row\">").count(), 2 * 3, "a table each");
        assert!(
            text.contains("step 40") && text.contains("0.5000 in <code>layers.1.self_attn.q_proj</code>"),
            "{text}"
        );
        for share in ["1.0 %", "3.1 %", "0.200 %"] {
            assert!(
                text.contains(&format!("<td class=\"number-cell\">{share}</td>")),
                "{text}"
            );
        }
        // Nothing is trained yet: there is no layer with more than another.
        let none = Picture::LayerUpdates {
            layers: Vec::new(),
            modules: Vec::new(),
            shares: Vec::new(),
            gradients: Vec::new(),
            gradient_step: None,
        };
        assert!(html(&none, None, Language::Chinese).contains("<img "));
    }

    #[test]
    fn every_picture_has_an_image_or_a_row_and_a_table_in_both_languages() {
        let grid = vec![0.0, -1.0, 0.5, 2.0];
        let pictures = [
            Picture::LoraUpdate {
                module: "layers.0.q_proj".into(),
                rows: 2,
                columns: 2,
                shape: (8, 8),
                rank: 1,
                values: grid.clone(),
                largest: 2.0,
                norm: 0.5,
                weight_norm: 5.0,
            },
            Picture::Attention {
                layer: 0,
                head: 1,
                layers: 4,
                heads: 6,
                tokens: vec!["a".into(), "b".into()],
                weights: vec![1.0, 0.0, 0.5, 0.5],
            },
            Picture::PackedWeights {
                module: "x".into(),
                format: "nf4".into(),
                rows: 2,
                columns: 2,
                original: grid.clone(),
                decoded: grid.clone(),
                levels: vec![-1.0, 1.0],
                root_mean_square_error: 0.01,
                original_bytes: 16,
                packed_bytes: 4,
            },
            Picture::Units {
                layer: 0,
                layers: 1,
                inputs: vec!["x".into(), "y".into()],
                x: (0.0, 1.0),
                y: Some((0.0, 1.0)),
                columns: 2,
                rows: 2,
                units: vec![grid.clone()],
                output: vec![grid.clone()],
            },
            Picture::LayerUpdates {
                layers: vec!["layers.0".into(), "layers.1".into()],
                modules: vec!["q".into(), "v".into()],
                shares: grid.clone(),
                gradients: grid,
                gradient_step: Some(2),
            },
        ];
        for picture in pictures {
            for language in Language::ALL {
                let text = html(&picture, None, language);
                assert!(
                    text.contains("<img ") && text.contains("alt=\"") && text.contains("<table part="),
                    "{text}"
                );
            }
        }
    }
}
