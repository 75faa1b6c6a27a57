//! Several connections to one record, which are asked at the same time.

use std::panic::resume_unwind;
use std::thread;

use crate::ship::{Failure, Record, Target};

/// At least one connection.
pub(crate) struct Connections(Vec<Box<dyn Record>>);

impl Connections {
    /// The first one.
    pub(crate) fn open(target: &Target) -> Result<Self, Failure> {
        Ok(Self(vec![target.record()?]))
    }

    /// Of connections that exist.
    #[cfg(test)]
    pub(crate) fn of(connections: Vec<Box<dyn Record>>) -> Self {
        assert!(!connections.is_empty(), "a record is read by a connection");
        Self(connections)
    }

    /// Opens as many as are useful for this number of chains.
    pub(crate) fn open_more(&mut self, target: &Target, chains: usize) -> Result<(), Failure> {
        while self.0.len() < target.readers_max().min(chains) {
            self.0.push(target.record()?);
        }
        Ok(())
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn first(&mut self) -> &mut dyn Record {
        self.0.first_mut().expect("there is at least one").as_mut()
    }

    /// Asks something about chains, each given by its index, which always has the same connection.
    /// The answers come in the order of the questions.
    pub(crate) fn ask<Q: Sync, A: Send>(
        &mut self,
        questions: &[(usize, Q)],
        ask: impl Fn(&mut dyn Record, usize, &Q) -> A + Sync,
    ) -> Vec<A> {
        if let [(chain, question)] = questions {
            let count = self.0.len();
            let connection = self.0.get_mut(chain % count).expect("a remainder is in range");
            return vec![ask(connection.as_mut(), *chain, question)];
        }
        let (count, ask) = (self.0.len(), &ask);
        let mut answers: Vec<(usize, A)> = thread::scope(|scope| {
            let threads: Vec<_> = (0..count)
                .zip(&mut self.0)
                .map(|(index, connection)| {
                    scope.spawn(move || {
                        let all = questions.iter().enumerate();
                        let own = all.filter(|(_, (chain, _))| chain % count == index);
                        own.map(|(at, (chain, it))| (at, ask(connection.as_mut(), *chain, it)))
                            .collect::<Vec<_>>()
                    })
                })
                .collect();
            let join = |thread: thread::ScopedJoinHandle<'_, Vec<(usize, A)>>| {
                thread.join().unwrap_or_else(|panic| resume_unwind(panic))
            };
            threads.into_iter().flat_map(join).collect()
        });
        answers.sort_by_key(|(at, _)| *at);
        answers.into_iter().map(|(_, answer)| answer).collect()
    }
}
