//! Products with packed matrices beside the dense one in a real Chromium, as `packed` of the kernels' own benches has them
//! natively: one JSON object a line.
//!
//! The texts go to the browser as they are, without the engine, so that a kernel alone is timed. `cargo xtask bench
//! --browser` runs it; a word behind that filters by shape, format or place (`x576->1536 forward`).

#[path = "../../shaders/benches/products/mod.rs"]
mod products;

use anyhow::{Context, Result};
use lorakeet_shaders::{Kernel, Tier};
use lorakeet_tests::browser::{Options, Page};
use products::{MOST_SOFTWARE_GFLOP, Peak, products};
use serde_json::json;
use std::time::Duration;

/// One kernel on a software adapter, compiled on the way.
const LIMIT: Duration = Duration::from_secs(120);
/// The page's half: `seconds(kernel)`.
const SCRIPT: &str = include_str!("web_products.js");
const RESULT: &str = "return Promise.race([window.result, new Promise((wake) => setTimeout(wake, 30000, null))])";

#[tokio::main]
async fn main() -> Result<()> {
    // cargo itself passes `--bench`.
    let filter = std::env::args().skip(1).find(|word| !word.starts_with('-'));
    let filter = filter.unwrap_or_default();
    let page = Page::open(&Options::default()).await?;
    page.run(SCRIPT, Vec::new()).await?;
    // Chromium's adapter on a machine without a GPU is SwiftShader; nobody is asked, so that one figure means one thing.
    let (place, tier) = ("Chromium Software", Tier::Software);
    let groups = products(place, &filter, MOST_SOFTWARE_GFLOP);
    if !groups.is_empty() {
        let peak = Peak::new(false);
        let peak = peak.gflops(seconds(&page, &peak, tier).await?);
        println!("{{\"where\":\"{place}\",\"peak_gflops\":{peak:.1}}}");
        for group in groups {
            let mut dense = None;
            for product in group {
                let seconds = seconds(&page, &*product.kernel, tier).await?;
                let dense = *dense.get_or_insert(seconds);
                println!("{}", product.line(place, seconds, dense, peak));
            }
        }
    }
    page.close().await
}

/// Seconds of one run.
async fn seconds(page: &Page, kernel: &dyn Kernel, tier: Tier) -> Result<f64> {
    let text = json!({
        "key": kernel.key(tier),
        "wgsl": kernel.wgsl(tier),
        "workgroups": kernel.workgroups(tier),
        "info": kernel.info(),
        "inputs": kernel.input_lens(),
        "outputs": kernel.output_lens(),
    });
    let begin = "window.result = seconds(arguments[0]).catch((error) => String(error))";
    page.run(begin, vec![text]).await?;
    let what = format!("{} is measured", kernel.key(tier));
    let result = page.wait_until(&what, LIMIT, RESULT).await?;
    result.as_f64().with_context(|| format!("{what}: {result}"))
}
