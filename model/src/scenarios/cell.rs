//! State cells: what was written last is read, as often as anybody likes.

use super::Family;

pub(super) fn add(family: &mut Family) {
    let (write, read) = (family.send(), family.receive());
    let mut s = family.pair("unwritten");
    s.receive(1, read).await_return(0, 1).send(0, write);
    s.await_return(1, 0).receive(1, read).receive(1, read);
    family.add(&s, &["cell.read.unwritten.refuses", "cell.read.latest"]);
    for mode in family.sends() {
        let mut s = family.pair(&format!("overwritten-{}", super::word(mode)));
        for _ in 0..3 {
            s.send(0, mode);
        }
        s.await_return(1, 0).receive(1, read).receive(1, read);
        s.await_return(0, 1).send(0, mode).await_return(1, 0).receive(1, read);
        family.add(&s, &["cell.write.replaces", "cell.read.latest"]);
    }
    let writers = if family.many_senders() { 2 } else { 1 };
    let readers = if family.many_receivers() { 2 } else { 1 };
    let mut s = family.crew("race", writers, readers);
    for _ in 0..4 {
        (0..writers).for_each(|writer| {
            s.send(writer, write);
        });
        (writers..writers + readers).for_each(|reader| {
            s.receive(reader, read);
        });
    }
    family.add_repeated(&s, &["cell.read.latest", "cell.write.replaces"], 10);
}
