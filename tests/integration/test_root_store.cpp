// The chain of roots on disk: accepted and refused roots, and the state after a crash.
#include <doctest/doctest.h>

#include <fstream>

#include "common/storage/files.hpp"
#include "notp-server/trust/root_store.hpp"
#include "tests/support/temporary_folder.hpp"
#include "tests/support/wire/signed_samples.hpp"

namespace notp {
namespace {

namespace fs = std::filesystem;

constexpr TimeMs kNowMs = samples::kIssuedMs + 1'000;

trust::Root root_of(uint64_t version, std::initializer_list<uint8_t> keys = {1}) {
  trust::Root out = samples::root();
  out.version = version;
  out.root_keys = samples::public_keys(keys);
  return out;
}

Bytes envelope(uint64_t version) { return samples::signed_by(root_of(version), {1}).encode(); }

struct Place {
  TemporaryFolder folder;
  fs::path roots = folder.path() / "data" / "roots";
  fs::path configured = folder.path() / "root.envelope";

  Place() {
    REQUIRE(make_folders(roots.parent_path()).has_value());
    configure(envelope(1));
  }
  void configure(const Bytes& bytes) { REQUIRE(write_file(configured, bytes).has_value()); }
  void put(const std::string& name, ByteView bytes) const {
    std::ofstream(roots / name, std::ios::binary) << bytes;
  }
  Result<std::unique_ptr<trust::RootStore>> open() const {
    return trust::RootStore::open(roots, configured, std::string(samples::kDomain), kNowMs);
  }
  std::unique_ptr<trust::RootStore> opened() const {
    auto store = open();
    REQUIRE_MESSAGE(store.has_value(), (store ? "" : store.error().message));
    return *std::move(store);
  }
  // Opening fails with this code and message.
  void refuses(ErrorCode code, const std::string& words) const {
    const auto store = open();
    REQUIRE_FALSE(store.has_value());
    CHECK(store.error().code == code);
    CHECK_MESSAGE(store.error().message.find(words) != std::string::npos, store.error().message);
  }
};

TEST_CASE("the configured root begins the chain, and the next ones are kept with it") {
  const Place place;
  {
    const auto store = place.opened();
    CHECK(store->newest() == 1);
    const auto second = store->publish(envelope(2), kNowMs);
    REQUIRE(second.has_value());
    CHECK((*second)->version == 2);
    REQUIRE(store->publish(envelope(3), kNowMs).has_value());
    CHECK(store->current()->version == 3);
    // After a lost answer.
    CHECK(store->publish(envelope(2), kNowMs).has_value());
    CHECK(store->newest() == 3);
  }
  // The configuration may still name the first one.
  const auto store = place.opened();
  CHECK(store->newest() == 3);
  const auto after = store->after(1);
  REQUIRE(after.size() == 2);
  CHECK(after[0].version == 2);
  CHECK(*after[0].envelope == envelope(2));
  CHECK(after[1].version == 3);
  CHECK(store->after(3).empty());
  CHECK(store->after(0).size() == 3);
}

TEST_CASE("a root is published only when the one before and its own keys say so") {
  const Place place;
  const auto store = place.opened();
  const auto refused = [&](const Bytes& bytes, ErrorCode code) {
    const auto published = store->publish(bytes, kNowMs);
    REQUIRE_FALSE(published.has_value());
    CHECK(published.error().code == code);
  };
  refused(envelope(3), ErrorCode::kRootInvalid);
  refused(samples::signed_by(root_of(2), {5}).encode(), ErrorCode::kSignature);
  refused(samples::signed_by(root_of(2, {5}), {5}).encode(), ErrorCode::kSignature);
  refused(samples::signed_by(root_of(2, {5}), {1}).encode(), ErrorCode::kSignature);
  refused("not an envelope", ErrorCode::kEnvelope);
  trust::Root fallen = root_of(2);
  fallen.epoch = 0;
  CHECK_FALSE(store->publish(samples::signed_by(fallen, {1}).encode(), kNowMs).has_value());
  trust::Root expired = root_of(2);
  expired.expires_ms = kNowMs;
  refused(samples::signed_by(expired, {1}).encode(), ErrorCode::kExpired);
  trust::Root other = root_of(1);
  other.expires_ms = kNowMs + 1;
  refused(samples::signed_by(other, {1}).encode(), ErrorCode::kRootInvalid);
  CHECK(store->newest() == 1);
  CHECK_FALSE(fs::exists(place.roots / "2.envelope"));
  // Both sets of keys.
  CHECK(store->publish(samples::signed_by(root_of(2, {5}), {1, 5}).encode(), kNowMs).has_value());
  CHECK(store->current()->root_keys == samples::public_keys({5}));
}

TEST_CASE("the configured file is walked when it is the next step, and only then") {
  Place place;
  const auto store = place.opened();
  place.configure(envelope(2));
  CHECK(store->adopt(place.configured, kNowMs).value() == true);
  CHECK(store->adopt(place.configured, kNowMs).value() == false);
  CHECK(store->newest() == 2);
  place.configure(envelope(4));
  CHECK(store->adopt(place.configured, kNowMs).error().code == ErrorCode::kConfig);
  place.refuses(ErrorCode::kConfig, "has the chain up to v2");
  trust::Root forged = root_of(2);
  forged.delegations = {{"*/*", samples::public_keys({4}), 1}};
  place.configure(samples::signed_by(forged, {1}).encode());
  place.refuses(ErrorCode::kRootInvalid, "root.envelope");
  place.configure("junk");
  place.refuses(ErrorCode::kEnvelope, "root.envelope");
}

TEST_CASE("a root of an earlier format ends the start, and says what to do") {
  Place place;
  trust::Envelope former = *trust::Envelope::decode(envelope(1));
  former.payload_type = "application/vnd.notp.root.v1";
  place.configure(former.encode());
  place.refuses(ErrorCode::kEnvelope, "notp root init");
  place.configure(envelope(1));
  REQUIRE(place.opened());
  REQUIRE(write_file(place.roots / "1.envelope", former.encode()));
  place.refuses(ErrorCode::kEnvelope, "notp root init");
}

TEST_CASE("a chain that begins later takes no configured root from before it") {
  Place place;
  place.configure(envelope(3));
  CHECK(place.opened()->newest() == 3);
  place.configure(envelope(2));
  place.refuses(ErrorCode::kConfig, "older than the chain");
}

TEST_CASE("what a crash leaves half written is no root") {
  const Place place;
  REQUIRE(place.opened()->publish(envelope(2), kNowMs).has_value());
  place.put("3.envelope.new.4711", envelope(3).substr(0, 20));
  place.put("03.envelope", "junk");
  place.put("notes.txt", "junk");
  const auto store = place.opened();
  CHECK(store->newest() == 2);
  CHECK(store->publish(envelope(3), kNowMs).has_value());
  CHECK(place.opened()->newest() == 3);
}

TEST_CASE("a damaged or missing root is named, not skipped") {
  const Place place;
  {
    const auto store = place.opened();
    REQUIRE(store->publish(envelope(2), kNowMs).has_value());
    REQUIRE(store->publish(envelope(3), kNowMs).has_value());
  }
  const std::string second = (place.roots / "2.envelope").string();
  Bytes bent = envelope(2);
  bent[bent.size() / 2] = static_cast<char>(bent[bent.size() / 2] ^ 1);
  const Bytes of_a_thief = samples::signed_by(root_of(2, {5}), {5}).encode();
  for (const Bytes& damage : {bent, envelope(2).substr(0, 50), Bytes(), envelope(3), of_a_thief}) {
    place.put("2.envelope", damage);
    place.refuses(ErrorCode::kCorrupt, second);
  }
  fs::remove(second);
  place.refuses(ErrorCode::kCorrupt, second);
  place.put("2.envelope", envelope(2));
  CHECK(place.opened()->newest() == 3);
}

TEST_CASE("a folder that cannot be written keeps the root that there is") {
  const Place place;
  const auto store = place.opened();
  fs::rename(place.roots, place.roots.parent_path() / "elsewhere");
  const auto published = store->publish(envelope(2), kNowMs);
  REQUIRE_FALSE(published.has_value());
  CHECK(store->newest() == 1);
  CHECK(store->after(1).empty());
}

}  // namespace
}  // namespace notp
