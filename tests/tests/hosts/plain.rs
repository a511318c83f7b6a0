//! A page of HTML on another site: with the element, and with an ordinary frame for systems that allow no script.

use super::{LESSON, enter_element, enter_frame, options, walk};
use anyhow::Result;
use lorakeet_tests::browser::Page;
use lorakeet_tests::file_site::FileSite;
use lorakeet_tests::site::{Site, dist};

#[tokio::test(flavor = "multi_thread")]
async fn a_page_of_another_site_shows_the_element() -> Result<()> {
    let (lab, host) = (Site::start(&dist()?, &[]).await?, FileSite::start().await?);
    let page = format!(
        "<!DOCTYPE html><html lang='en'><title>Course</title><script type='module' src='{}lab.js'></script><h1>Course</h1>\
         <lorakeet-lab lesson='{LESSON}' device='cpu' label='Units'><p>What happens here.</p></lorakeet-lab></html>",
        lab.url()
    );
    host.serve("/course.html", page, &[]);
    let page = Page::open_at(&format!("{}/course.html", host.origin()), &options()).await?;
    enter_element(&page).await?;
    walk(&page, "plain").await?;
    page.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_without_scripts_shows_the_lab_in_a_frame() -> Result<()> {
    let (lab, host) = (Site::start(&dist()?, &[]).await?, FileSite::start().await?);
    let page = format!(
        "<!DOCTYPE html><html lang='en'><title>Course</title><h1>Course</h1>\
         <iframe title='Units' width='100%' height='700' src='{}embed.html?lesson={LESSON}&device=cpu&start=1'></iframe></html>",
        lab.url()
    );
    let policy = format!("default-src 'none'; frame-src {}", lab.url());
    host.serve("/course.html", page, &[("content-security-policy", &policy)]);
    let page = Page::open_at(&format!("{}/course.html", host.origin()), &options()).await?;
    enter_frame(&page).await?;
    walk(&page, "frame").await?;
    page.close().await
}
