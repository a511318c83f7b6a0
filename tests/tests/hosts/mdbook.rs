//! A chapter of an mdBook with the element in it, and the folder in the book.

use super::{LESSON, copy, enter_element, options, run, tool, walk, work_folder};
use anyhow::Result;
use lorakeet_tests::browser::Page;
use lorakeet_tests::file_site::FileSite;
use lorakeet_tests::site::dist;
use std::process::Command;

#[tokio::test(flavor = "multi_thread")]
async fn a_chapter_of_an_mdbook_shows_the_element() -> Result<()> {
    let host = FileSite::start().await?;
    let folder = work_folder("mdbook")?;
    // As docs/widget.md says.
    copy(&dist()?, &folder.join("src/lorakeet"))?;
    let chapter = format!(
        "# Units\n\nA network with one hidden layer, trained here:\n\n\
         <script type=\"module\" src=\"lorakeet/lab.js\"></script>\n\n\
         <lorakeet-lab lesson=\"{LESSON}\" device=\"cpu\" label=\"Units\">\n<p>What happens here.</p>\n</lorakeet-lab>\n\n\
         After it the chapter goes on.\n"
    );
    for (path, text) in [
        ("book.toml", "[book]\ntitle = \"Course\"\nlanguage = \"en\"\n"),
        ("src/SUMMARY.md", "# Summary\n\n- [Units](units.md)\n"),
        ("src/units.md", &chapter),
    ] {
        std::fs::write(folder.join(path), text)?;
    }
    run(Command::new(tool("LORAKEET_MDBOOK")?).arg("build").arg(&folder))?;
    host.serve_folder("", &folder.join("book"))?;
    let page = Page::open_at(&format!("{}/units.html", host.origin()), &options()).await?;
    enter_element(&page).await?;
    walk(&page, "mdbook").await?;
    page.close().await?;
    Ok(std::fs::remove_dir_all(folder)?)
}
