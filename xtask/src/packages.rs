//! Debian's packages: which are there, and installing the rest.

use crate::places::say;
use crate::process::{capture, find, run};
use anyhow::{Result, bail};
use std::process::Command;

/// Whether dpkg has every one of these installed.
pub fn installed(names: &[&str]) -> bool {
    names.iter().all(|name| {
        capture(Command::new("dpkg-query").args(["-W", "-f", "${Status}", name]))
            .is_ok_and(|status| status == "install ok installed")
    })
}

/// Installs what is missing of `names` with apt-get. `purpose` completes 'needed for'; `otherwise` says what a person on
/// another system does.
pub fn install(names: &[&str], purpose: &str, otherwise: &str) -> Result<()> {
    let missing: Vec<&str> = names.iter().copied().filter(|name| !installed(&[name])).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let list = missing.join(" ");
    if find("apt-get").is_none() {
        bail!("{list}: needed for {purpose}, and this machine has no apt-get.\n{otherwise}");
    }
    let Some(prefix) = administrator() else {
        bail!(
            "{list}: needed for {purpose}. Installing takes an administrator; run\n    sudo apt-get install {list}\n\
             and try again.\n{otherwise}"
        );
    };
    say(format!("installing {list} with apt-get ({purpose})"));
    let apt = |arguments: &[&str]| {
        let mut words = prefix.to_vec();
        words.extend([
            "env",
            "DEBIAN_FRONTEND=noninteractive",
            "apt-get",
            "-o",
            "DPkg::Lock::Timeout=300",
            "-qq",
        ]);
        words.extend(arguments);
        run(Command::new(words[0]).args(&words[1..]))
    };
    apt(&["update"])?;
    let mut arguments = vec!["install", "-y", "--no-install-recommends"];
    arguments.extend(&missing);
    if let Err(error) = apt(&arguments) {
        bail!("{error}\n{list}: needed for {purpose}, and apt-get could not install it.\n{otherwise}");
    }
    Ok(())
}

/// What to put before a command that needs root: nothing for root, `sudo -n` where it works without a password.
fn administrator() -> Option<&'static [&'static str]> {
    if capture(Command::new("id").arg("-u")).is_ok_and(|id| id.trim() == "0") {
        return Some(&[]);
    }
    let sudo = find("sudo").is_some() && capture(Command::new("sudo").args(["-n", "true"])).is_ok();
    sudo.then_some(&["sudo", "-n"])
}
