//! `lorakeet devices`: what there is to compute on, and what it was measured to do.

use crate::commands::{HOST, unwritable};
use crate::json;
use crate::screen::{duration, hand_out, hand_out_json, measured, size};
use lorakeet_core::device;
use lorakeet_core::error::Result;
use lorakeet_core::estimate::StepWork;
use lorakeet_core::probe::probe;
use lorakeet_core::protocol::{DeviceChoice, DeviceInfo, DeviceKind, Probe};
use serde::Serialize;
use std::process::ExitCode;

/// A device as `--json` has it.
#[derive(Serialize)]
struct Listed {
    #[serde(flatten)]
    device: DeviceInfo,
    /// What was measured on it.
    probe: Option<Probe>,
    /// Why nothing was.
    #[serde(skip_serializing_if = "Option::is_none")]
    not_measured: Option<String>,
}

/// Lists all devices, and measures those of `choice` that this process can open: the CPU, and one GPU.
pub async fn list(choice: DeviceChoice, measures: bool, json: bool) -> Result<ExitCode> {
    let (cpu, cpu_info) = device::open(DeviceChoice::Cpu).await?;
    let gpus = device::adapters();
    let gpu = match measures && choice != DeviceChoice::Cpu && !gpus.is_empty() {
        true => Some(device::open(DeviceChoice::Gpu).await),
        false => None,
    };
    // Of two adapters with one name, the first.
    let opened = gpu.as_ref().and_then(|gpu| {
        let (_, info) = gpu.as_ref().ok()?;
        gpus.iter()
            .position(|gpu| (&gpu.name, &gpu.backend) == (&info.name, &info.backend))
    });
    for (i, info) in gpus.into_iter().enumerate() {
        let measured = match &gpu {
            Some(Ok((gpu, _))) if opened == Some(i) => Some(probe(gpu, &HOST).await),
            _ => None,
        };
        let why_not = match &gpu {
            Some(Err(error)) => Some(format!("not measured, because it does not open: {error}")),
            Some(Ok(_)) => Some("not measured: one GPU is opened at a time, and runs take the one that is".to_owned()),
            None => None,
        };
        show(listed(info, measured, why_not), json)?;
    }
    let measured = match measures && choice != DeviceChoice::Gpu {
        true => Some(probe(&cpu, &HOST).await),
        false => None,
    };
    show(listed(cpu_info, measured, None), json)?;
    Ok(ExitCode::SUCCESS)
}

fn listed(device: DeviceInfo, measured: Option<Result<Probe>>, why_not: Option<String>) -> Listed {
    let (probe, not_measured) = match measured {
        Some(Ok(probe)) => (Some(probe), None),
        Some(Err(error)) => (None, Some(format!("measuring failed: {error}"))),
        None => (None, why_not),
    };
    Listed {
        device,
        probe,
        not_measured,
    }
}

fn show(listed: Listed, json: bool) -> Result<()> {
    if json {
        return hand_out_json(&json::line(&listed).map_err(unwritable)?);
    }
    let Listed {
        device,
        probe,
        not_measured,
    } = listed;
    let limit = match device.max_binding_bytes {
        u64::MAX => "no limit on a tensor".to_owned(),
        bytes => format!("tensors up to {}", size(bytes)),
    };
    let mut text = format!("{:<8}{}, {limit}\n", device.backend, device.name);
    let note = device.note.map(|note| note.english());
    for line in [note, probe.as_ref().map(measured), not_measured].into_iter().flatten() {
        text.push_str(&format!("        {line}\n"));
    }
    hand_out(&text)
}

/// About how long a step takes on a device.
#[derive(Serialize)]
pub struct Timed {
    device: DeviceInfo,
    probe: Probe,
    /// Multiplications and additions of its matrix products.
    operations: u64,
    seconds_per_step: f64,
}

impl Timed {
    /// In words.
    pub fn words(&self) -> String {
        let on = match self.device.kind {
            DeviceKind::Cpu => "the CPU",
            DeviceKind::Gpu => &self.device.name,
        };
        let gflop = self.operations as f64 * 1e-9;
        format!(
            "about {} on {on}, for {gflop:.1} GFLOP",
            duration(self.seconds_per_step)
        )
    }
}

/// Measures the device of `choice`, and forecasts the time of a step on it.
pub async fn time(choice: DeviceChoice, work: &StepWork) -> Result<Timed> {
    let (opened, device) = device::open(choice).await?;
    let probe = probe(&opened, &HOST).await?;
    Ok(Timed {
        device,
        probe,
        operations: work.operations(),
        seconds_per_step: work.seconds(&probe),
    })
}
