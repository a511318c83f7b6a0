//! What more than one part of the engine says.

use crate::message::messages;

messages! { "common";
    Line { line } = "line {line}", "第 {line} 行";
    Row { row } = "row {row}", "第 {row} 行";
    At { place, what } = "{place}: {what}", "{place}：{what}";
    Sentence { clause } = "{clause}.", "{clause}。";
    Both { first, second } = "{first} {second}", "{first}{second}";
    AndMore { names, more } = "{names} and {more} more", "{names}等，另有 {more} 个";
    Term { term, what } = "term {term}: {what}", "第 {term} 项：{what}";
}
