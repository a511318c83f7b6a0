//! A Jupyter notebook with the lab in an `IFrame`: run and made HTML by nbconvert, and opened in JupyterLab.

use super::{LESSON, enter_frame, options, run, tool, walk, work_folder};
use anyhow::{Context, Result, ensure};
use lorakeet_tests::browser::Page;
use lorakeet_tests::file_site::FileSite;
use lorakeet_tests::site::{Site, dist};
use serde_json::json;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Until JupyterLab listens.
const START: Duration = Duration::from_secs(60);

/// A notebook that was run, and Jupyter's own folders beside it.
struct Notebook {
    folder: PathBuf,
    jupyter: PathBuf,
}

impl Notebook {
    fn make(name: &str, lab: &Site) -> Result<Self> {
        let notebook = Self {
            folder: work_folder(name)?,
            jupyter: PathBuf::from(tool("LORAKEET_JUPYTER")?),
        };
        let source = format!(
            "from IPython.display import IFrame\nIFrame(\"{}embed.html?lesson={LESSON}&device=cpu&start=1\", \"100%\", 700)",
            lab.url()
        );
        let cell = json!({
            "cell_type": "code", "id": "lab", "execution_count": null, "metadata": {}, "outputs": [], "source": source,
        });
        let kernel = json!({ "name": "python3", "display_name": "Python 3", "language": "python" });
        let text = json!({
            "cells": [cell], "metadata": { "kernelspec": kernel }, "nbformat": 4, "nbformat_minor": 5,
        });
        std::fs::write(notebook.file(), text.to_string())?;
        Ok(notebook)
    }

    fn file(&self) -> PathBuf {
        self.folder.join("units.ipynb")
    }

    /// A command of Jupyter's that keeps to the folder.
    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.jupyter);
        command.current_dir(&self.folder).args(arguments);
        for variable in [
            "JUPYTER_CONFIG_DIR",
            "JUPYTER_DATA_DIR",
            "JUPYTER_RUNTIME_DIR",
            "IPYTHONDIR",
        ] {
            command.env(variable, self.folder.join("jupyter"));
        }
        command
    }

    fn convert(&self, to: &str) -> Result<()> {
        run(&mut self.command(&["nbconvert", "--execute", "--to", to, "--output", "run", "units.ipynb"]))
    }
}

impl Drop for Notebook {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_notebook_as_html_shows_the_lab() -> Result<()> {
    let (lab, host) = (Site::start(&dist()?, &[]).await?, FileSite::start().await?);
    let notebook = Notebook::make("nbconvert", &lab)?;
    notebook.convert("html")?;
    host.serve("/run.html", std::fs::read(notebook.folder.join("run.html"))?, &[]);
    let page = Page::open_at(&format!("{}/run.html", host.origin()), &options()).await?;
    enter_frame(&page).await?;
    walk(&page, "nbconvert").await?;
    page.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn jupyterlab_shows_the_lab_in_an_output_cell() -> Result<()> {
    let lab = Site::start(&dist()?, &[]).await?;
    let notebook = Notebook::make("jupyterlab", &lab)?;
    notebook.convert("notebook")?;
    run(&mut notebook.command(&["trust", "run.ipynb"]))?;
    let server = Server::start(&notebook, &notebook.folder)?;
    let page = Page::open_at(&format!("{}/lab/tree/run.ipynb", server.url()), &options()).await?;
    enter_frame(&page).await?;
    walk(&page, "jupyterlab").await?;
    page.close().await
}

/// A JupyterLab of this test; it ends when dropped.
struct Server {
    child: Child,
    port: u16,
}

impl Server {
    fn start(notebook: &Notebook, root: &Path) -> Result<Self> {
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
        let mut command = notebook.command(&["lab", "--no-browser", "--allow-root", "--ip=127.0.0.1"]);
        command.arg(format!("--ServerApp.root_dir={}", root.display()));
        command.arg(format!("--ServerApp.port={port}"));
        // Nobody else reaches it, and it asks nobody for news.
        command.args([
            "--IdentityProvider.token=",
            "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
        ]);
        let log = std::fs::File::create(root.join("server.log"))?;
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        let mut server = Self {
            child: command.spawn()?,
            port,
        };
        let start = Instant::now();
        while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err() {
            let ended = server.child.try_wait()?;
            ensure!(
                ended.is_none() && start.elapsed() < START,
                "JupyterLab does not listen: {}",
                std::fs::read_to_string(root.join("server.log")).context("and wrote nothing")?
            );
            std::thread::sleep(Duration::from_millis(200));
        }
        Ok(server)
    }

    fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
