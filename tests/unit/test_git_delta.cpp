// notp-server/registry/git_delta: applies the coded form to a base, with an independent decoder.
#include <doctest/doctest.h>

#include "common/random.hpp"
#include "notp-server/registry/git_delta.hpp"
#include "tests/support/registry/model_samples.hpp"

using namespace notp;

namespace {

// Implements gitformat-pack(5), "Deltified representation".
Bytes applied(ByteView delta, ByteView base) {
  size_t at = 0;
  const auto byte = [&] { return static_cast<unsigned char>(delta.at(at++)); };
  const auto size = [&] {
    size_t value = 0;
    for (unsigned shift = 0;; shift += 7) {
      const unsigned next = byte();
      value |= static_cast<size_t>(next & 0x7f) << shift;
      if (next < 0x80) return value;
    }
  };
  CHECK(size() == base.size());
  const size_t target_bytes = size();
  Bytes target;
  while (at < delta.size()) {
    const unsigned opcode = byte();
    REQUIRE(opcode != 0);
    if (opcode < 0x80) {
      target.append(delta.substr(at, opcode));
      at += opcode;
      continue;
    }
    size_t from = 0, bytes = 0;
    for (unsigned bit = 0; bit < 4; ++bit)
      if (opcode >> bit & 1) from |= static_cast<size_t>(byte()) << (8 * bit);
    for (unsigned bit = 0; bit < 3; ++bit)
      if (opcode >> (4 + bit) & 1) bytes |= static_cast<size_t>(byte()) << (8 * bit);
    if (bytes == 0) bytes = 0x10000;
    REQUIRE(from + bytes <= base.size());
    target.append(base.substr(from, bytes));
  }
  CHECK(target.size() == target_bytes);
  return target;
}

Bytes edited(Random& random, Bytes content) {
  for (size_t i = 0; i < 1 + random.below(8); ++i) {
    const size_t at = random.below(content.size() + 1);
    const Bytes piece = random.below(3) == 0 ? content.substr(random.below(content.size() + 1), 500)
                                             : samples::random_text(random, random.below(300));
    content.replace(at, random.below(400), piece);
  }
  return content;
}

}  // namespace

TEST_CASE("a delta makes its target, and so do deltas put together") {
  for (uint64_t seed = 0; seed < 300; ++seed) {
    CAPTURE(seed);
    SeededRandom random(seed);
    const Bytes base = samples::random_text(random, 1 + random.below(20'000));
    Bytes version = base;
    registry::GitDelta from_base = registry::GitDelta::identity(base.size());
    for (int step = 0; step < 12; ++step) {
      const Bytes next = edited(random, version);
      if (next.empty()) continue;
      const registry::GitDelta change = registry::GitDelta::between(version, next);
      REQUIRE(applied(change.encode(), version) == next);
      from_base = change.after(from_base);
      REQUIRE(applied(from_base.encode(), base) == next);
      version = next;
    }
  }
}

TEST_CASE("a delta copies across the sizes at which an instruction ends") {
  const Bytes base = Bytes(0x1000000, 'a') + Bytes(0x30000, 'b');
  for (const size_t bytes : {size_t{1}, size_t{0xff}, size_t{0x10000}, size_t{0x20000},
                             size_t{0xffffff}, size_t{0x1000000}, base.size()}) {
    CAPTURE(bytes);
    const Bytes target = base.substr(0, bytes) + "!" + base.substr(base.size() - 0x10000);
    CHECK(applied(registry::GitDelta::between(base, target).encode(), base) == target);
  }
  CHECK(applied(registry::GitDelta::identity(base.size()).encode(), base) == base);
}

TEST_CASE("many small changes of one place cost what the last of them costs") {
  SeededRandom random(1);
  const Bytes base = samples::random_text(random, 100'000);
  Bytes version = base;
  registry::GitDelta from_base = registry::GitDelta::identity(base.size());
  for (int step = 0; step < 500; ++step) {
    Bytes next = version;
    next.replace(50'000, 10, samples::random_text(random, 10));
    from_base = registry::GitDelta::between(version, next).after(from_base);
    version = std::move(next);
  }
  CHECK(applied(from_base.encode(), base) == version);
  CHECK(from_base.cost() < 400);
}
