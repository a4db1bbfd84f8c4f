#include "common/random.hpp"

#include <openssl/rand.h>

#include "common/assert.hpp"

namespace notp {

uint64_t SystemRandom::next_u64() {
  uint64_t value = 0;
  NOTP_ASSERT(RAND_bytes(reinterpret_cast<unsigned char*>(&value), sizeof value) == 1,
              "the operating system gave no randomness");
  return value;
}

uint64_t SeededRandom::next_u64() {
  uint64_t z = state_ += 0x9e3779b97f4a7c15;
  z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
  z = (z ^ z >> 27) * 0x94d049bb133111eb;
  return z ^ z >> 31;
}

}  // namespace notp
