//! What changes while the program runs: battery, load, clock, heat, energy; and limits of the process.

#![allow(
    clippy::unwrap_used,
    reason = "a helper that cannot build its files fails the test"
)]

mod fake;

use std::fs;

use fake::Fake;
use proptest::prelude::*;
use tritone_machine::{
    EnergyMeter, HugePages, NoEnergy, choose_preset_threads, choose_threads, spread_cpus_at,
    temperature_at, throttling_at,
};

/// A supply under `/sys/class/power_supply`, by its files.
fn supply(mut fake: Fake, name: &str, files: &[(&str, &str)]) -> Fake {
    for (file, content) in files {
        fake = fake.file(&format!("/sys/class/power_supply/{name}/{file}"), content);
    }
    fake
}

#[test]
fn a_battery_is_in_use_when_nothing_else_is_connected() {
    let laptop = |online: &str, status: &str| {
        let fake = supply(
            Fake::new(),
            "BAT0",
            &[
                ("type", "Battery\n"),
                ("status", status),
                ("capacity", "64\n"),
            ],
        );
        let fake = supply(fake, "AC", &[("type", "Mains\n"), ("online", online)]);
        // A port that could charge and does not, and the battery of a mouse.
        let fake = supply(fake, "ucsi0", &[("type", "USB\n"), ("online", "0\n")]);
        supply(
            fake,
            "hidpp_battery_0",
            &[
                ("type", "Battery\n"),
                ("scope", "Device\n"),
                ("status", "Discharging\n"),
                ("capacity", "5\n"),
            ],
        )
        .detect()
        .battery
        .unwrap()
    };
    let away = laptop("0\n", "Discharging\n");
    assert!(away.in_use);
    assert_eq!(away.percent, Some(64));
    assert_eq!(away.to_string(), "in use, 64 % full");
    assert!(!laptop("1\n", "Charging\n").in_use);
    assert!(!laptop("1\n", "Not charging\n").in_use);
    // A charger too weak for the load is still a charger.
    assert!(!laptop("1\n", "Discharging\n").in_use);
}

#[test]
fn two_batteries_are_one() {
    let cell = |now, full| {
        [
            ("type", "Battery"),
            ("status", "Discharging"),
            ("energy_now", now),
            ("energy_full", full),
            ("capacity", "99"),
        ]
    };
    let fake = supply(Fake::new(), "BAT0", &cell("10000000", "20000000"));
    let fake = supply(fake, "BAT1", &cell("0", "60000000"));
    let battery = fake.detect().battery.unwrap();
    assert!(battery.in_use, "no charger is listed");
    assert_eq!(battery.percent, Some(12));
    // An empty bay, and a desktop with a battery in its mouse, have none.
    let bay = supply(
        Fake::new(),
        "BAT1",
        &[("type", "Battery"), ("present", "0")],
    );
    assert_eq!(bay.detect().battery, None);
    assert_eq!(Fake::new().detect().battery, None);
}

#[test]
fn nonsense_about_a_battery_costs_the_value() {
    let fake = supply(
        Fake::new(),
        "BAT0",
        &[
            ("type", "Battery"),
            ("status", "\u{fffd}"),
            ("capacity", "4000"),
            ("energy_now", "18446744073709551615"),
            ("energy_full", "0"),
        ],
    );
    let battery = fake.detect().battery.unwrap();
    assert!(!battery.in_use);
    assert_eq!(battery.percent, None);
    assert_eq!(battery.to_string(), "not in use, power is connected");
}

#[test]
fn the_load_of_the_last_minute() {
    let load = |text: &str| {
        let fake = Fake::new().file("/proc/loadavg", text);
        fake.detect().load_average
    };
    assert_eq!(load("1.58 0.80 0.50 2/345 6789\n"), Some(1.58));
    for odd in ["", "x", "NaN 1 1", "-1 0 0", "inf 0 0"] {
        assert_eq!(load(odd), None, "{odd:?}");
    }
}

/// Fast cores with two threads (CPUs 0 to 3) and four slow ones with one each, as Intel builds them.
fn hybrid() -> Fake {
    let mut fake = Fake::new()
        .file("/sys/devices/system/cpu/online", "0-7\n")
        .file("/sys/devices/cpu_core/cpus", "0-3\n")
        .file("/sys/devices/cpu_atom/cpus", "4-7\n");
    let siblings = ["0-1", "0-1", "2-3", "2-3", "4", "5", "6", "7"];
    for (cpu, siblings) in siblings.iter().enumerate() {
        let file = format!("/sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list");
        fake = fake.file(&file, siblings);
    }
    fake
}

#[test]
fn slow_cores_get_no_threads_unless_asked() {
    let machine = hybrid().detect();
    assert_eq!((machine.physical_cores, machine.allowed_cores), (6, 6));
    assert_eq!(machine.performance_cores, Some(2));
    assert_eq!(machine.efficiency_cores, 4);
    assert_eq!((machine.default_threads, machine.usable_threads), (2, 8));
    let said = |label: &str| {
        let lines = machine.describe();
        let line = lines.iter().find(|(name, _)| *name == label);
        line.unwrap().1.clone()
    };
    assert!(said("threads").contains("leaves out 4 cores made to save power"));
    assert!(said("cores").contains("2 fast and 4 made to save power"));
    assert_eq!(choose_threads(Some(6), &machine).threads, 6);
    let preset = choose_preset_threads(4, &machine);
    assert_eq!(preset.threads, 2);
    let note = preset.note.unwrap();
    assert!(
        note.contains("4 cores made to save power") && note.contains("`--threads 4`"),
        "{note}"
    );
    assert_eq!(choose_preset_threads(2, &machine).note, None);
    assert_eq!(choose_preset_threads(99, &machine).threads, 2);
    assert_eq!(spread_cpus_at(&hybrid().roots()), [0, 2, 4, 5, 6, 7, 1, 3]);
    // With only one kind allowed there is nothing to leave out.
    for (list, cores) in [("4-7", 4), ("0-3", 2)] {
        let status = format!("Cpus_allowed_list:\t{list}\n");
        let machine = hybrid().file("/proc/self/status", status).detect();
        assert_eq!(machine.performance_cores, None, "{list}");
        assert_eq!(
            (machine.default_threads, machine.efficiency_cores),
            (cores, 0)
        );
    }
}

#[test]
fn slow_cores_of_arm_are_known_by_their_capacity() {
    let with = |capacities: &[u32]| {
        let last = capacities.len() - 1;
        let mut fake = Fake::new().file("/sys/devices/system/cpu/online", format!("0-{last}\n"));
        for (cpu, capacity) in capacities.iter().enumerate() {
            let file = format!("/sys/devices/system/cpu/cpu{cpu}/cpu_capacity");
            fake = fake.file(&file, format!("{capacity}\n"));
        }
        fake.detect()
    };
    // Four small and four large cores; then small, middle and one large core.
    let rk3588 = with(&[530, 530, 530, 530, 1024, 1024, 1024, 1024]);
    assert_eq!(
        (rk3588.performance_cores, rk3588.default_threads),
        (Some(4), 4)
    );
    let three = with(&[260, 260, 260, 780, 780, 780, 780, 1024]);
    assert_eq!(
        (three.performance_cores, three.efficiency_cores),
        (Some(5), 3)
    );
    let alike = with(&[1024; 4]);
    assert_eq!((alike.performance_cores, alike.default_threads), (None, 4));
    assert_eq!(with(&[0, 0]).performance_cores, None);
}

#[test]
fn the_clock_and_who_sets_it() {
    let clock = |driver: &str, preference: &str| {
        let dir = "/sys/devices/system/cpu/cpu0/cpufreq";
        Fake::new()
            .file("/sys/devices/system/cpu/online", "0\n")
            .file(&format!("{dir}/scaling_governor"), "powersave\n")
            .file(&format!("{dir}/scaling_driver"), driver)
            .file(&format!("{dir}/scaling_cur_freq"), "800000\n")
            .file(&format!("{dir}/scaling_max_freq"), "3200000\n")
            .file(&format!("{dir}/energy_performance_preference"), preference)
            .file("/sys/devices/system/cpu/intel_pstate/no_turbo", "1\n")
            .detect()
            .frequency
            .unwrap()
    };
    let slow = clock("acpi-cpufreq\n", "");
    assert!(slow.is_held_low() && !slow.prefers_saving());
    assert_eq!(
        slow.to_string(),
        "800 of 3200 MHz, governor powersave (acpi-cpufreq), boost off"
    );
    // There `powersave` is the usual rule and says nothing; the preference does.
    let usual = clock("intel_pstate\n", "balance_power\n");
    assert!(!usual.is_held_low() && usual.prefers_saving());
    assert_eq!(Fake::new().with_cores(2).detect().frequency, None);
}

#[test]
fn the_hottest_sensor_of_the_processor_counts() {
    let chip = "/sys/class/hwmon/hwmon3";
    let fake = Fake::new()
        .file("/sys/class/hwmon/hwmon0/name", "nvme\n")
        .file("/sys/class/hwmon/hwmon0/temp1_input", "99000\n")
        .file(&format!("{chip}/name"), "coretemp\n")
        .file(&format!("{chip}/temp1_label"), "Package id 0\n")
        .file(&format!("{chip}/temp1_input"), "71000\n")
        .file(&format!("{chip}/temp1_max"), "100000\n")
        .file(&format!("{chip}/temp2_label"), "Core 0\n")
        .file(&format!("{chip}/temp2_input"), "72500\n")
        .file(&format!("{chip}/temp2_crit"), "105000\n")
        .file(&format!("{chip}/temp3_input"), "999999999\n")
        .file(&format!("{chip}/temp4_input"), "x\n")
        .file("/sys/class/thermal/thermal_zone0/type", "x86_pkg_temp\n")
        .file("/sys/class/thermal/thermal_zone0/temp", "90000\n");
    let hot = temperature_at(&fake.roots()).unwrap();
    assert_eq!((hot.celsius, hot.limit_celsius), (72.5, Some(105.0)));
    assert_eq!(hot.to_string(), "72 °C of at most 105 (coretemp Core 0)");
    assert_eq!(fake.detect().temperature, Some(hot));
}

#[test]
fn amd_says_it_twice_and_boards_say_it_in_zones() {
    let chip = "/sys/class/hwmon/hwmon1";
    let amd = Fake::new()
        .file(&format!("{chip}/name"), "k10temp\n")
        .file(&format!("{chip}/temp1_label"), "Tctl\n")
        .file(&format!("{chip}/temp1_input"), "82000\n")
        .file(&format!("{chip}/temp2_label"), "Tdie\n")
        .file(&format!("{chip}/temp2_input"), "55000\n");
    let zone = |fake: Fake, number: u32, kind: &str, temperature: &str| {
        let dir = format!("/sys/class/thermal/thermal_zone{number}");
        fake.file(&format!("{dir}/type"), kind)
            .file(&format!("{dir}/temp"), temperature)
    };
    assert_eq!(temperature_at(&amd.roots()).unwrap().celsius, 55.0);
    let board = zone(Fake::new(), 0, "acpitz\n", "40000\n");
    assert_eq!(temperature_at(&board.roots()).unwrap().sensor, "acpitz");
    let board = zone(board, 1, "cpu-thermal\n", "38000\n")
        .file(
            "/sys/class/thermal/thermal_zone1/trip_point_0_type",
            "passive\n",
        )
        .file(
            "/sys/class/thermal/thermal_zone1/trip_point_0_temp",
            "70000\n",
        )
        .file(
            "/sys/class/thermal/thermal_zone1/trip_point_1_type",
            "critical\n",
        )
        .file(
            "/sys/class/thermal/thermal_zone1/trip_point_1_temp",
            "110000\n",
        );
    let cpu = temperature_at(&zone(board, 2, "gpu-thermal\n", "80000\n").roots()).unwrap();
    assert_eq!((cpu.celsius, cpu.limit_celsius), (38.0, Some(110.0)));
    assert_eq!(temperature_at(&Fake::new().roots()), None);
}

#[test]
fn throttling_is_counted_or_seen() {
    let mut fake = Fake::new().with_cores(1);
    for (cpu, count) in [(0, "3\n"), (1, "4\n")] {
        let dir = format!("/sys/devices/system/cpu/cpu{cpu}/thermal_throttle");
        fake = fake
            .file(&format!("{dir}/core_throttle_count"), count)
            .file(&format!("{dir}/package_throttle_count"), "10\n");
    }
    let throttling = throttling_at(&fake.roots());
    assert_eq!((throttling.events, throttling.now), (Some(17), None));
    let device = |fake: Fake, number: u32, kind: &str, state: &str| {
        let dir = format!("/sys/class/thermal/cooling_device{number}");
        fake.file(&format!("{dir}/type"), kind)
            .file(&format!("{dir}/cur_state"), state)
    };
    let board = device(Fake::new(), 0, "pwm-fan\n", "4\n");
    assert_eq!(throttling_at(&board.roots()).now, None);
    let board = device(board, 1, "cpufreq-cpu0\n", "0\n");
    assert_eq!(throttling_at(&board.roots()).now, Some(false));
    let board = device(board, 2, "cpufreq-cpu4\n", "2\n");
    assert_eq!(throttling_at(&board.roots()).now, Some(true));
}

/// A zone of the power counters, by its files.
fn zone(fake: Fake, name: &str, kind: &str, microjoules: &str) -> Fake {
    let dir = format!("/sys/class/powercap/{name}");
    fake.file(&format!("{dir}/name"), kind)
        .file(&format!("{dir}/energy_uj"), microjoules)
        .file(&format!("{dir}/max_energy_range_uj"), "1000000000\n")
}

fn set(fake: &Fake, name: &str, microjoules: &str) {
    let counter = fake.roots().sys.join("class/powercap").join(name);
    fs::write(counter.join("energy_uj"), microjoules).unwrap();
}

#[test]
fn energy_of_all_packages_and_of_nothing_twice() {
    let fake = zone(Fake::new(), "intel-rapl:0", "package-0\n", "5000000\n");
    let fake = zone(fake, "intel-rapl:0:0", "core\n", "1\n");
    let fake = zone(fake, "intel-rapl:1", "package-1\n", "999000000\n");
    let fake = zone(fake, "intel-rapl:2", "psys\n", "7\n");
    let fake = zone(fake, "intel-rapl-mmio:0", "package-0\n", "5000000\n");
    let mut meter = EnergyMeter::open_at(&fake.roots()).unwrap();
    assert_eq!(meter.packages(), 2);
    assert_eq!(meter.joules(), Some(0.0));
    for (name, value) in [
        ("intel-rapl:0", "7500000\n"),
        ("intel-rapl:0:0", "900000000\n"),
        ("intel-rapl:2", "900000000\n"),
        // From 999 J to the end at 1000 J, and on to 3 J.
        ("intel-rapl:1", "3000000\n"),
    ] {
        set(&fake, name, value);
    }
    assert_eq!(meter.joules(), Some(2.5 + 4.0));
    assert_eq!(meter.joules(), Some(0.0));
}

#[test]
fn a_counter_that_is_gone_or_mad_costs_one_reading() {
    let fake = zone(Fake::new(), "intel-rapl:0", "package-0\n", "5000000\n");
    let mut meter = EnergyMeter::open_at(&fake.roots()).unwrap();
    set(&fake, "intel-rapl:0", "x\n");
    assert_eq!(meter.joules(), None);
    // Beyond its own range, and then back: it could not have gone there.
    set(&fake, "intel-rapl:0", "18446744073709551615\n");
    assert_eq!(meter.joules(), None);
    set(&fake, "intel-rapl:0", "6000000\n");
    assert_eq!(meter.joules(), None);
    set(&fake, "intel-rapl:0", "6500000\n");
    assert_eq!(meter.joules(), Some(0.5));
}

#[test]
#[expect(clippy::print_stdout, reason = "a test says what it left out")]
fn no_counter_is_told_from_a_forbidden_one() {
    let open = |fake: &Fake| EnergyMeter::open_at(&fake.roots()).map(|meter| meter.packages());
    assert_eq!(open(&Fake::new()), Err(NoEnergy::Absent));
    let fake = zone(Fake::new(), "intel-rapl:0", "package-0\n", "x");
    assert_eq!(open(&fake), Err(NoEnergy::Absent));
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let counter = fake
            .roots()
            .sys
            .join("class/powercap/intel-rapl:0/energy_uj");
        fs::set_permissions(&counter, fs::Permissions::from_mode(0o000)).unwrap();
        if fs::read(&counter).is_ok() {
            println!("not tested: this user may read everything");
            return;
        }
        assert_eq!(open(&fake), Err(NoEnergy::Forbidden(counter.clone())));
    }
    let said = NoEnergy::Forbidden("/sys/x/energy_uj".into()).to_string();
    assert!(said.contains("chmod a+r /sys/x/energy_uj"), "{said}");
}

#[test]
fn limits_of_the_process_bound_its_memory() {
    let limits = "Limit                     Soft Limit           Hard Limit           Units     \n\
                  Max data size             unlimited            unlimited            bytes     \n\
                  Max locked memory         8388608              8388608              bytes     \n\
                  Max address space         2147483648           unlimited            bytes     \n";
    let machine = Fake::new()
        .file("/proc/self/limits", limits)
        .file(
            "/proc/meminfo",
            "MemTotal:       16777216 kB\nSwapTotal: 1024 kB\nSwapFree: 512 kB\n\
             CommitLimit: 4096 kB\nCommitted_AS: 1024 kB\n",
        )
        .file("/proc/sys/vm/overcommit_memory", "2\n")
        .file(
            "/sys/kernel/mm/transparent_hugepage/enabled",
            "always [madvise] never\n",
        )
        .detect();
    let memory = &machine.memory;
    assert_eq!(memory.process.address_space, Some(2 << 30));
    assert_eq!(
        (memory.process.data, memory.process.locked),
        (None, Some(8 << 20))
    );
    assert_eq!(memory.usable_bytes(), Some(2 << 30));
    assert_eq!(memory.swap_total_bytes, Some(1 << 20));
    assert_eq!(memory.commit_left_bytes, Some(3 << 20));
    assert_eq!(memory.huge_pages, Some(HugePages::Madvise));
    let lines = machine.describe();
    assert!(lines.contains(&("address space", "2048 MiB (ulimit)".to_owned())));
    assert!(lines.contains(&("swap", "1 MiB, 0 MiB free".to_owned())));
    assert!(lines.contains(&("huge pages", "madvise".to_owned())));
}

#[test]
fn a_group_that_is_slowed_for_memory_has_a_limit() {
    let machine = Fake::new()
        .unified("/a")
        .file("/sys/fs/cgroup/a/memory.max", "2147483648\n")
        .file("/sys/fs/cgroup/a/memory.high", "1073741824\n")
        .detect();
    let limit = machine.memory.limit.unwrap();
    assert_eq!(limit.bytes, 1 << 30);
    assert!(limit.source.ends_with("memory.high"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn sensors_of_garbage_are_read_without_harm(
        bytes in prop::collection::vec(any::<u8>(), 0..60),
        number in "-?[0-9]{0,22}|[a-z]{0,4}",
    ) {
        let mut fake = Fake::new().with_cores(1);
        for file in [
            "/sys/class/power_supply/b/capacity", "/sys/class/power_supply/b/energy_now",
            "/sys/class/power_supply/b/energy_full", "/sys/class/power_supply/b/status",
            "/sys/class/hwmon/h/temp1_label", "/sys/class/thermal/thermal_zone0/type",
            "/sys/kernel/mm/transparent_hugepage/enabled", "/proc/self/limits", "/proc/loadavg",
            "/sys/devices/cpu_core/cpus", "/sys/devices/system/cpu/cpu0/cpufreq/scaling_driver",
        ] {
            fake = fake.file(file, &bytes);
        }
        for file in [
            "/sys/class/hwmon/h/temp1_input", "/sys/class/hwmon/h/temp1_max",
            "/sys/class/thermal/thermal_zone0/temp", "/sys/devices/system/cpu/cpu0/cpu_capacity",
            "/sys/devices/system/cpu/cpu0/thermal_throttle/core_throttle_count",
            "/sys/devices/system/cpu/cpu0/cpufreq/scaling_cur_freq",
            "/sys/class/powercap/intel-rapl:0/energy_uj",
            "/sys/class/powercap/intel-rapl:0/max_energy_range_uj",
        ] {
            fake = fake.file(file, &number);
        }
        let fake = fake
            .file("/sys/class/power_supply/b/type", "Battery")
            .file("/sys/class/hwmon/h/name", "coretemp")
            .file("/sys/class/powercap/intel-rapl:0/name", "package-0");
        let machine = fake.detect();
        prop_assert!(machine.battery.is_some());
        prop_assert!(machine.battery.and_then(|b| b.percent).is_none_or(|p| p <= 100));
        prop_assert!(machine.temperature.as_ref().is_none_or(|t| t.celsius.abs() <= 200.0));
        prop_assert!(!machine.describe().is_empty());
        if let Ok(mut meter) = EnergyMeter::open_at(&fake.roots()) {
            prop_assert!(meter.joules().is_some_and(|joules| joules >= 0.0));
        }
    }
}
