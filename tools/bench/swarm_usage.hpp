// Processor time of a registry and of the swarm that loads it, over the same interval.
#pragma once

#include <sys/types.h>

#include "tools/bench/process_facts.hpp"
#include "tools/bench/stopwatch.hpp"

namespace notp::bench {

struct SwarmUsage {
  double wall_s = 0;
  double registry_s = 0;  // of its process, without its workers
  double swarm_s = 0;     // of this process: the swarm and the publisher
  double idle_s = 0;      // of the machine's processors, summed

  SwarmUsage& operator+=(const SwarmUsage& other) {
    wall_s += other.wall_s;
    registry_s += other.registry_s;
    swarm_s += other.swarm_s;
    idle_s += other.idle_s;
    return *this;
  }
};
inline json::object usage_json(const SwarmUsage& usage) {
  return {{"wall_s", usage.wall_s},
          {"registry_s", usage.registry_s},
          {"swarm_s", usage.swarm_s},
          {"idle_s", usage.idle_s}};
}

class SwarmUsageWatch {
 public:
  static Result<SwarmUsageWatch> start(pid_t registry) {
    SwarmUsageWatch watch(registry);
    NOTP_ASSIGN(watch.registry_before_s_, own_cpu_seconds_of(registry));
    NOTP_ASSIGN(watch.idle_before_s_, idle_seconds());
    return watch;
  }
  // Since the start.
  Result<SwarmUsage> read() const {
    SwarmUsage out{.wall_s = watch_.seconds(), .swarm_s = watch_.processor_s()};
    NOTP_ASSIGN(const double registry_s, own_cpu_seconds_of(registry_));
    NOTP_ASSIGN(const double idle_s, idle_seconds());
    out.registry_s = registry_s - registry_before_s_;
    out.idle_s = idle_s - idle_before_s_;
    return out;
  }

 private:
  explicit SwarmUsageWatch(pid_t registry) : registry_(registry) {}

  pid_t registry_;
  Stopwatch watch_;
  double registry_before_s_ = 0, idle_before_s_ = 0;
};

}  // namespace notp::bench
