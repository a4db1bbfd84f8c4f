// Metrics that repeat at each scrape what a component counts anyway.
#pragma once

#include <prometheus/counter.h>
#include <prometheus/registry.h>

#include <algorithm>
#include <cstdint>

namespace notp {

inline prometheus::Family<prometheus::Counter>& counter_family(prometheus::Registry& registry,
                                                               const char* name, const char* help) {
  return prometheus::BuildCounter().Name(name).Help(help).Register(registry);
}

inline prometheus::Counter& counter(prometheus::Registry& registry, const char* name,
                                    const char* help) {
  return counter_family(registry, name, help).Add({});
}

// Two updates at once may count less, never more.
inline void follow(prometheus::Counter& counter, uint64_t value) {
  counter.Increment(std::max(0.0, static_cast<double>(value) - counter.Value()));
}

}  // namespace notp
