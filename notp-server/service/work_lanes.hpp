// The registry's blocking work in lanes, each with its own threads: admin commands never wait
// behind work that any peer can make long.
#pragma once

#include "protocol/serve/fair_lane.hpp"
#include "protocol/wire/request_traits.hpp"

namespace notp::service {

// The threads. Thread-safe; join them before the io_contexts that wait for them end.
struct WorkPools {
  // `workers` threads each for answers and for artifacts.
  WorkPools(size_t workers, size_t validations_at_once);
  void join();

  transport::OffloadPool queries, artifacts, validations;
  transport::OffloadPool orders;  // also joins
  transport::OffloadPool now_publishes;
  transport::OffloadPool audits;
};

// The queues in front of the threads. Thread-safe. All are fair by identity.
struct WorkLanes {
  // The sizes are those of the pools.
  WorkLanes(WorkPools& pools, size_t workers, size_t validations_at_once);
  // Refuses waiting and new work.
  void close();
  size_t waiting() const;
  serve::FairLane& lane_of(wire::RequestKind kind);

  serve::FairLane queries, artifacts;
  serve::FairLane validations;    // publishes
  serve::FairLane orders;         // withdrawals, roots, tokens, renewals, drops
  serve::FairLane now_publishes;  // cosigned releases and deny lists: urgent, but validated
  serve::FairLane audits;         // questions about recorded decisions, which search for long
};

}  // namespace notp::service
