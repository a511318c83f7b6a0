//! An app of Vite and TypeScript that uses the npm package and its types.

use super::{copy, enter_element, options, run, tool, walk, work_folder};
use anyhow::{Context, Result, ensure};
use lorakeet_tests::browser::Page;
use lorakeet_tests::file_site::FileSite;
use std::path::Path;
use std::process::Command;

#[tokio::test(flavor = "multi_thread")]
async fn an_app_of_vite_and_typescript_shows_the_element() -> Result<()> {
    let host = FileSite::start().await?;
    let app = work_folder("vite")?;
    copy(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/hosts/vite"), &app)?;
    let npm = |arguments: &[&str]| {
        let mut command = Command::new("npm");
        command.current_dir(&app).args(arguments).arg("--silent");
        command
    };
    run(&mut npm(&["ci"]))?;
    run(npm(&["install", "--no-save", "--offline"]).arg(tool("LORAKEET_PACKAGE")?))?;
    // As docs/widget.md says: the folder is served as it is.
    copy(&app.join("node_modules/lorakeet"), &app.join("public/lorakeet"))?;
    run(&mut npm(&["run", "build"]))?;
    // The app's own program, into which lab.js went: nothing of the package was copied beside it.
    let assets = std::fs::read_dir(app.join("dist/assets"))?;
    let assets: Vec<_> = assets
        .map(|entry| entry.map(|entry| entry.file_name()))
        .collect::<Result<_, _>>()?;
    ensure!(assets.len() == 1, "Vite made {assets:?}");
    host.serve_folder("", &app.join("dist"))?;

    let page = Page::open_at(&format!("{}/index.html", host.origin()), &options()).await?;
    enter_element(&page).await?;
    walk(&page, "vite").await?;
    page.client.enter_parent_frame().await?;
    let told = page.content("#loss").await?;
    let (step, loss) = told.split_once(": ").context("the app has heard of no step")?;
    ensure!(step.parse::<u64>().is_ok() && loss.parse::<f64>().is_ok(), "{told}");
    page.close().await?;

    // A use that does not fit the types is refused.
    let main = app.join("src/main.ts");
    let text = std::fs::read_to_string(&main)?;
    std::fs::write(&main, text.replace("const loss: number | null", "const loss: string"))?;
    let refused = run(&mut npm(&["run", "build"]))
        .err()
        .context("tsc took a wrong type")?;
    ensure!(refused.to_string().contains("src/main.ts"), "{refused}");
    Ok(std::fs::remove_dir_all(app)?)
}
