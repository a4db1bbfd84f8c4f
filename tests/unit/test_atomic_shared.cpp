// A pointer that many threads read while it is replaced.
#include <doctest/doctest.h>

#include <thread>
#include <vector>

#include "common/atomic_shared.hpp"

namespace notp {
namespace {

// Counts live objects; both halves are equal in an intact one.
struct Watched {
  static inline std::atomic<int64_t> living = 0;

  explicit Watched(uint64_t number) : first(number), second(number) { ++living; }
  Watched(const Watched&) = delete;
  Watched& operator=(const Watched&) = delete;
  ~Watched() {
    second = first + 1;
    --living;
  }

  uint64_t first, second;
};

}  // namespace

TEST_CASE("a value lives while it is current or a reader holds it, and no longer") {
  {
    AtomicShared<Watched> current(nullptr);
    CHECK(current.get() == nullptr);
    current.set(std::make_shared<const Watched>(1));
    const auto held = current.get();
    CHECK(current.get() == held);
    current.set(std::make_shared<const Watched>(2));
    CHECK(Watched::living == 2);
    CHECK(held->first == 1);
    CHECK(current.get()->first == 2);
  }
  CHECK(Watched::living == 0);
}

TEST_CASE("readers see whole values, and never an older one than before") {
  constexpr uint64_t kValues = 20'000;
  {
    AtomicShared<Watched> current(std::make_shared<const Watched>(0));
    std::atomic<uint64_t> torn = 0, older = 0;
    std::vector<std::thread> readers;
    for (int i = 0; i < 3; ++i)
      readers.emplace_back([&] {
        for (uint64_t last = 0; last < kValues;) {
          const auto value = current.get();
          torn += value->first != value->second ? 1 : 0;
          older += value->first < last ? 1 : 0;
          last = value->first;
        }
      });
    for (uint64_t number = 1; number <= kValues; ++number)
      current.set(std::make_shared<const Watched>(number));
    for (std::thread& reader : readers) reader.join();
    CHECK(torn == 0);
    CHECK(older == 0);
    CHECK(Watched::living == 1);
  }
  CHECK(Watched::living == 0);
}

}  // namespace notp
