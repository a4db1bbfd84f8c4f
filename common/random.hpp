// Randomness as an argument. A core receives a Random; the simulator passes a seeded one.
#pragma once

#include <cstdint>

namespace notp {

class Random {
 public:
  virtual ~Random() = default;
  virtual uint64_t next_u64() = 0;
  // Returns a uniform number in [0, bound); 0 when bound is 0. The bias of at most bound / 2^64
  // does not matter to backoff and simulation, its only users: keys come from OpenSSL.
  uint64_t below(uint64_t bound) { return bound == 0 ? 0 : next_u64() % bound; }
};

// The operating system's generator, through OpenSSL. Thread-safe.
class SystemRandom final : public Random {
 public:
  uint64_t next_u64() override;
};

// SplitMix64: the same seed gives the same sequence on every machine. Not for secrets. One thread.
class SeededRandom final : public Random {
 public:
  explicit SeededRandom(uint64_t seed) : state_(seed) {}
  uint64_t next_u64() override;

 private:
  uint64_t state_;
};

}  // namespace notp
