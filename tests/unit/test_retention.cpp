// Which stored releases are kept when a new one is installed.
#include <doctest/doctest.h>

#include "notp-client/agent/core/retention.hpp"

namespace notp {
namespace {

using Versions = std::set<uint64_t>;

// Newest first.
std::vector<store::StoredRelease> stored(std::vector<uint64_t> versions,
                                         const Versions& confirmed = {},
                                         const Versions& quarantined = {}) {
  std::vector<store::StoredRelease> out;
  for (const uint64_t version : versions) {
    store::StoredRelease& release = out.emplace_back();
    release.ref.version = version;
    release.confirmed = confirmed.contains(version);
    release.quarantined = quarantined.contains(version);
  }
  return out;
}

agent::RetentionRequest request(uint64_t installed, size_t releases_max, Versions in_use = {},
                                std::optional<uint64_t> confirmed = {}) {
  return {installed, std::move(in_use), confirmed, releases_max};
}

TEST_CASE("the newest releases stay, the new one included") {
  CHECK(agent::versions_to_keep({}, request(1, 3)).empty());
  CHECK(agent::versions_to_keep(stored({1}), request(2, 3)) == Versions{1});
  CHECK(agent::versions_to_keep(stored({4, 3, 2, 1}), request(5, 3)) == Versions{3, 4});
  CHECK(agent::versions_to_keep(stored({4, 3, 2, 1}), request(5, 8)) == Versions{1, 2, 3, 4});
}

TEST_CASE("the last good release stays, however old, in the place of a newer one") {
  CHECK(agent::versions_to_keep(stored({8, 7, 6, 2}, {2}), request(9, 3)) == Versions{2, 8});
  CHECK(agent::versions_to_keep(stored({8, 7, 6, 2}, {2, 7}), request(9, 3)) == Versions{7, 8});
  CHECK(agent::versions_to_keep(stored({8, 7, 6, 2}, {2, 8}, {8}), request(9, 3)) ==
        Versions{2, 8});
  CHECK(agent::versions_to_keep(stored({8, 7, 2}, {2}), request(9, 2)) == Versions{2});
  // A release confirmed by the installation counts.
  CHECK(agent::versions_to_keep(stored({8, 7, 6, 2}, {2}), request(9, 2, {}, 6)) == Versions{6});
}

TEST_CASE("what is in use stays beside the last good release, though it be more than the limit") {
  CHECK(agent::versions_to_keep(stored({8, 7, 6, 1}, {7}), request(9, 2, {1})) == Versions{1, 7});
  CHECK(agent::versions_to_keep(stored({8, 7, 6, 1}, {7}), request(9, 4, {1})) ==
        Versions{1, 7, 8});
  CHECK(agent::versions_to_keep(stored({8, 7, 1}, {7}), request(9, 2, {1, 8})) ==
        Versions{1, 7, 8});
  CHECK(agent::versions_to_keep(stored({8, 7}), request(9, 2, {5})) == Versions{8});
}

TEST_CASE("a release that is installed again is not one of the older ones") {
  CHECK(agent::versions_to_keep(stored({8, 7, 6}, {8}), request(8, 3, {8}, 8)) == Versions{6, 7});
}

}  // namespace
}  // namespace notp
