//! All states of the page on one sheet, to be looked at: each as a narrow and a wide window shows it, light and dark, in every
//! language, and below them what other tests took pictures of.

use crate::accessibility::THEMES;
use crate::browser::{Page, screenshot_folder};
use anyhow::{Context, Result};
use serde_json::{Value, json};
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

/// The windows' widths in pixels, and their height.
const WIDTHS: [u64; 2] = [400, 1440];
const HEIGHT: u64 = 900;
/// Longer pages are cut off here.
const LONGEST: u64 = 6000;
/// The pictures have half the page's pixels in both directions.
const SCALE: f64 = 0.5;
const LANGUAGES: [&str; 2] = ["en", "zh-Hans"];

const SET_THEME: &str = "document.documentElement.dataset.theme = arguments[0]; scrollTo(0, 0);\
    return document.documentElement.scrollHeight";

/// Pictures by state.
#[derive(Debug, Default)]
pub struct ContactSheet {
    states: Vec<(String, Vec<Picture>)>,
}

#[derive(Debug)]
struct Picture {
    caption: String,
    width: u64,
    /// PNG in base64.
    png: String,
}

impl ContactSheet {
    /// Takes the pictures of a state; the page has English, and its own width, again afterwards.
    ///
    /// # Errors
    /// The browser is not Chromium, or does not answer.
    pub async fn add(&mut self, page: &Page, state: &str) -> Result<()> {
        let own = page.run("return [innerWidth, innerHeight]", Vec::new()).await?;
        let own = |place: usize| own[place].as_u64().context("a size is a number");
        let (own_width, own_height) = (own(0)?, own(1)?);
        let mut pictures = Vec::new();
        for language in LANGUAGES {
            page.set_field("language", language).await?;
            for width in WIDTHS {
                resize(page, width, HEIGHT).await?;
                for theme in THEMES {
                    let length = page.run(SET_THEME, vec![json!(theme)]).await?;
                    let length = length.as_u64().context("a length is a number")?;
                    pictures.push(Picture {
                        caption: format!("{width} px, {theme}, {language}"),
                        width,
                        png: whole_page(page, width, length).await?,
                    });
                }
            }
        }
        page.set_field("language", LANGUAGES[0]).await?;
        resize(page, own_width, own_height).await?;
        self.states.push((state.to_owned(), pictures));
        Ok(())
    }

    /// Writes the sheet beside the other tests' pictures, and returns where.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn write(&self) -> Result<PathBuf> {
        let folder = screenshot_folder()?;
        let path = folder.join("contact-sheet.html");
        fs::write(&path, self.html(&others(&folder)?)).with_context(|| format!("cannot write {}", path.display()))?;
        Ok(path)
    }

    fn html(&self, others: &[String]) -> String {
        let mut html = String::from(
            "<!DOCTYPE html><html lang=\"en\"><meta charset=\"utf-8\"><title>Contact sheet</title><style>\
             body { font: 14px system-ui; margin: 1rem; background: #777; color: #fff }\
             div { display: flex; flex-wrap: wrap; align-items: start; gap: 1rem }\
             figure { margin: 0 } img { display: block; max-width: 100%; border: 1px solid #000 }</style>",
        );
        for (state, pictures) in &self.states {
            let _ = write!(html, "<h2>{state}</h2><div>");
            for Picture { caption, width, png } in pictures {
                let shown = *width as f64 * SCALE;
                let _ = write!(
                    html,
                    "<figure><figcaption>{caption}</figcaption>\
                     <img alt=\"{state}, {caption}\" width=\"{shown}\" src=\"data:image/png;base64,{png}\"></figure>"
                );
            }
            html.push_str("</div>\n");
        }
        html.push_str("<h2>Pictures of other tests</h2><div>");
        for name in others {
            let _ = write!(
                html,
                "<figure><figcaption>{name}</figcaption><a href=\"{name}\"><img alt=\"{name}\" width=\"480\" loading=\"lazy\" \
                 src=\"{name}\"></a></figure>"
            );
        }
        html.push_str("</div></html>\n");
        html
    }
}

async fn resize(page: &Page, width: u64, height: u64) -> Result<()> {
    let metrics = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": false });
    page.devtools("Emulation.setDeviceMetricsOverride", metrics)
        .await
        .map(drop)
}

/// The page from its head to its foot, as PNG in base64.
async fn whole_page(page: &Page, width: u64, length: u64) -> Result<String> {
    let clip = json!({ "x": 0, "y": 0, "width": width, "height": length.clamp(1, LONGEST), "scale": SCALE });
    let wish = json!({ "format": "png", "captureBeyondViewport": true, "clip": clip });
    let answer = page.devtools("Page.captureScreenshot", wish).await?;
    let png = answer.get("data").and_then(Value::as_str).context("no picture came")?;
    Ok(png.to_owned())
}

/// The names of the pictures in a folder.
fn others(folder: &Path) -> Result<Vec<String>> {
    let entries = fs::read_dir(folder)?.flatten();
    let mut names: Vec<String> = entries
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .filter(|name| name.ends_with(".png"))
        .collect();
    names.sort_unstable();
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_picture_is_on_the_sheet() {
        let picture = Picture {
            caption: "400 px, dark, en".to_owned(),
            width: 400,
            png: "AAAA".to_owned(),
        };
        let sheet = ContactSheet {
            states: vec![("ready".to_owned(), vec![picture])],
        };
        let html = sheet.html(&["share-400-1.png".to_owned()]);
        assert!(html.contains("<h2>ready</h2>") && html.contains("width=\"200\" src=\"data:image/png;base64,AAAA\""));
        assert!(html.contains("400 px, dark, en") && html.contains("src=\"share-400-1.png\""));
    }
}
