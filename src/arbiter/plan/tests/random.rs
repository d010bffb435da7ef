//! Anything may happen at any moment: whatever does, nobody leaves before somebody else serves, and in the end everything
//! is as it was asked for.

use super::*;

/// Numbers that look random: a linear congruential generator.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (self.0 >> 33) as usize % limit
    }
}

/// One event; true if it can cost capacity.
fn happen(scene: &mut Scene, dice: &mut Dice) -> bool {
    let pids = scene.pids();
    let pid = pids[dice.below(pids.len())];
    match dice.below(12) {
        0 => drop(scene.signal(SIGHUP)),
        1 if scene.limits.workers < 6 => drop(scene.signal(SIGTTIN)),
        2 => drop(scene.signal(SIGTTOU)),
        3 => scene.retire(pid),
        4..=7 => scene.set(pid, State::Idle),
        8 => scene.all_leave(),
        9 => scene.limits.reload_surge = dice.below(4),
        10 if dice.below(4) == 0 => {
            scene.exit(pid, [Exit::Code(0), Exit::Code(1), Exit::Signal(9)][dice.below(3)]);
            return true;
        }
        // Code that does not load.
        11 if scene.plan.children().iter().any(|child| child.pid == pid && !child.booted())
            && scene.booted() > 0 =>
        {
            scene.exit(pid, Exit::Code(3));
        }
        _ => {}
    }
    false
}

/// While a reload boots its first worker: so many stay as there were before it, and one more, unless there is a back-off or
/// imports of workers that are of no use any more.
fn keeps_its_number(scene: &Scene) -> bool {
    let plan = &scene.plan;
    let useless = plan.children().count(|child| !child.stays() && !child.booted());
    let waits = !plan.gate_closed() || useless > 0 || plan.backoff.until() > scene.now;
    waits || plan.children().count(|child| child.stays()) > plan.roll.kept.min(scene.limits.workers)
}

#[test]
fn nobody_leaves_before_somebody_else_serves() {
    for seed in 0..300 {
        let mut dice = Dice(seed);
        let mut scene = Scene::serving(Limits { timeout: None, workers: 1 + dice.below(5), ..LIMITS });
        for _ in 0..80 {
            let (workers, before) = (scene.limits.workers, scene.booted());
            let died = happen(&mut scene, &mut dice);
            scene.settle();
            let wanted = workers.min(scene.limits.workers).min(before);
            assert!(died || scene.booted() >= wanted, "seed {seed}: {} of {wanted}", scene.booted());
            assert!(keeps_its_number(&scene), "seed {seed}: {:?}", scene.plan);
            scene.pass(dice.below(20) as f64 / 10.0);
        }
        for _ in 0..20 {
            scene.board.values_mut().for_each(|slot| slot.retiring = false);
            scene.boot_all();
            scene.pass(10.0);
            scene.all_leave();
        }
        let (workers, current) = (scene.limits.workers, scene.plan.roll.current);
        assert_eq!(scene.booted(), workers, "seed {seed}");
        assert!(scene.plan.children().iter().all(|child| child.generation == current), "seed {seed}");
        assert!(!scene.plan.roll.rolling, "seed {seed}");
        assert_eq!(scene.deadline(), None, "seed {seed}");
    }
}
