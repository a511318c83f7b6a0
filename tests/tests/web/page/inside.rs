//! Pictures that explain, drawn of a run on its way and of the model before and after it.

use super::shorten;
use anyhow::{Result, ensure};
use lorakeet_tests::browser::{Options, Page, selector};
use lorakeet_tests::site::dist;
use lorakeet_tests::user_actions::{REACTION, READY};
use serde_json::{Value, json};
use std::path::Path;

fn on_cpu(width: u32) -> Options {
    Options {
        query: "?device=cpu".into(),
        width,
        ..Options::default()
    }
}

/// How many pictures a panel has.
async fn count(page: &Page, kind: &str) -> Result<Value> {
    let script = "return Number(document.querySelector(arguments[0]).dataset.count)";
    page.run(script, vec![json!(selector(&format!("picture-{kind}")))])
        .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_is_followed_and_its_model_is_drawn_before_and_after() -> Result<()> {
    let page = Page::open(&on_cpu(1440)).await?;
    page.wait_enabled("train", READY).await?;
    shorten(&page, "6").await?;
    page.set_knob("eval_steps", "3").await?;
    for kind in ["tokens", "lora_update", "attention", "packed_weights"] {
        ensure!(count(&page, kind).await? == json!(0), "{kind} was drawn unasked");
    }
    page.unfold_pictures(&[
        "tokens",
        "lora_update",
        "attention",
        "loss_surface",
        "packed_weights",
        "units",
        "layer_updates",
    ])
    .await?;
    let before = page.draw_picture("tokens").await?;
    ensure!(!before.contains("tuned"), "nothing was trained yet: {before}");
    // What cannot be drawn says why.
    for kind in ["lora_update", "layer_updates"] {
        ensure!(page.text(&format!("why-{kind}")).await?.contains("Train first"));
    }
    for (kind, why) in [("loss_surface", "exactly two weights"), ("units", "small_mlp")] {
        let said = page.text(&format!("why-{kind}")).await?;
        ensure!(said.contains(why), "{said}");
    }
    page.press("follow-lora_update").await?;
    page.press("follow-tokens").await?;
    page.train_to_the_end().await?;

    // Before the first step, on the way, at the end: from nothing on it grows.
    ensure!(
        count(&page, "lora_update").await?.as_u64() >= Some(3),
        "{}",
        count(&page, "lora_update").await?
    );
    let last = page.picture("lora_update").await?;
    page.write("slide-lora_update", "0").await?;
    let slid = "return document.querySelector('[data-testid=picture-lora_update] figcaption').textContent.includes('before training')";
    page.wait_until("the first picture is shown", REACTION, slid).await?;
    let first = page.picture("lora_update").await?;
    ensure!(
        first != last && first.contains("norm 0,") && first.contains("before training"),
        "{first}\n{last}"
    );
    let tokens = page.picture("tokens").await?;
    ensure!(
        tokens != before && count(&page, "tokens").await?.as_u64() >= Some(3),
        "{tokens}"
    );
    ensure!(
        count(&page, "attention").await? == json!(0),
        "attention was drawn unasked"
    );

    // All heads of the model can be chosen before one was drawn.
    let config: Value = serde_json::from_slice(&std::fs::read(dist()?.join("model/config.json"))?)?;
    let heads = "return document.querySelector('[data-testid=head-attention]').options.length";
    ensure!(page.run(heads, vec![]).await? == config["num_attention_heads"]);
    // Of one's own sentence, in another layer.
    page.write("text-attention", "The lady <b>saw</b> him.").await?;
    page.set_field("layer-attention", "1").await?;
    let attention = page.draw_picture("attention").await?;
    ensure!(attention.contains("Layer 2"), "{attention}");
    page.set_field("head-attention", "1").await?;
    let script = "document.querySelector('[data-testid=picture-attention] details').open = true";
    page.run(script, vec![]).await?;
    page.press("draw-attention").await?;
    let other = "return document.querySelector('[data-testid=picture-attention] figcaption').textContent.includes('head 2')\
                 && document.querySelector('[data-testid=picture-attention] details').open";
    page.wait_until("another head, its table still unfolded", REACTION, other)
        .await?;
    // Every layer at once: as many rows as the model has layers.
    let updates = page.draw_picture("layer_updates").await?;
    ensure!(
        updates.contains("self_attn.q_proj") && updates.contains("layers.0"),
        "{updates}"
    );
    let rows = "return document.querySelectorAll('[data-testid=picture-layer_updates] tbody tr').length";
    ensure!(page.run(rows, vec![]).await? == config["num_hidden_layers"]);
    let packed = page.draw_picture("packed_weights").await?;
    ensure!(packed.contains("nf4"), "{packed}");
    // A module that there is none of: the engine says what there is, and goes on.
    page.set_field("module-packed_weights", "q_prj").await?;
    page.press("draw-packed_weights").await?;
    let said = "return document.querySelector('[data-testid=inside-packed_weights] [data-testid=error]')?.textContent.includes('q_proj')";
    page.wait_until("the nearest module is named", REACTION, said).await?;
    ensure!(page.phase().await? == "done", "a picture that fails is no failed run");
    page.screenshots("inside-1440").await?;
    page.no_panic()?;
    page.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn small_models_show_their_surface_and_their_units() -> Result<()> {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("../public/lessons/data/bean.csv");
    let page = Page::open(&on_cpu(400)).await?;
    page.wait_enabled("train", READY).await?;
    page.press("model-small").await?;
    page.set_field("small-model", "small_mlp").await?;
    page.upload("data-input", &[&data]).await?;
    page.press("task-regression").await?;
    for (knob, value) in [
        ("label_columns", "height"),
        ("num_hidden_layers", "0"),
        ("max_steps", "8"),
        ("per_device_train_batch_size", "24"),
        ("val_size", "0"),
    ] {
        page.set_knob(knob, value).await?;
    }
    page.unfold_pictures(&["loss_surface", "units"]).await?;
    page.press("follow-loss_surface").await?;
    page.train_to_the_end().await?;
    let surface = page.picture("loss_surface").await?;
    ensure!(surface.contains("In 8 steps"), "{surface}");

    page.set_knob("num_hidden_layers", "1").await?;
    page.set_knob("hidden_size", "4").await?;
    page.press("follow-units").await?;
    page.train_to_the_end().await?;
    let units = page.picture("units").await?;
    ensure!(units.contains("4 units"), "{units}");
    ensure!(count(&page, "units").await?.as_u64() >= Some(2));
    ensure!(
        count(&page, "loss_surface").await? == json!(0),
        "a surface of more than two weights"
    );
    let wide = "return document.documentElement.scrollWidth - document.documentElement.clientWidth";
    ensure!(
        page.run(wide, vec![]).await? == json!(0),
        "the page is wider than its window"
    );
    page.screenshots("inside-400").await?;
    page.no_panic()?;
    page.close().await
}
