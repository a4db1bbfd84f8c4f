// Pending releases on disk: leftovers, damage, limits.
#include <doctest/doctest.h>

#include <filesystem>
#include <fstream>
#include <functional>

#include "common/limits.hpp"
#include "common/storage/files.hpp"
#include "notp-server/publish/pending_store.hpp"
#include "tests/support/temporary_folder.hpp"
#include "tests/support/wire/signed_samples.hpp"

namespace notp {
namespace {

namespace fs = std::filesystem;
using samples::kLedger;

std::unique_ptr<publish::PendingStore> open(const fs::path& folder) {
  auto store = publish::PendingStore::open(folder);
  REQUIRE_MESSAGE(store.has_value(), (store ? "" : store.error().message));
  return *std::move(store);
}

publish::PendingRelease waiting(uint64_t version, const model::LedgerId& ledger = kLedger) {
  trust::Release release = samples::release(version);
  release.ledger = ledger;
  const trust::Envelope envelope = samples::signed_by(release, {2});
  publish::PendingRelease out;
  out.ledger = ledger;
  out.version = version;
  out.release_hash = trust::release_hash(envelope.payload);
  out.expected_head_hash = release.previous_hash;
  out.envelope = envelope.encode();
  out.publisher = "spiffe://core-platform.internal/publisher/alice";
  out.message = "a \"message\"\nsha256 of two lines, ünïcode";
  out.received_ms = samples::kIssuedMs;
  return out;
}

fs::path file_of(const fs::path& folder, const publish::PendingRelease& release,
                 const char* extension) {
  return folder / std::to_string(release.ledger.zone) / release.ledger.name /
         (release.release_hash.hex() + extension);
}

TEST_CASE("what waits is read back as it was kept") {
  const TemporaryFolder folder;
  const model::LedgerId other{kLedger.zone, "other"};
  {
    const auto store = open(folder.path());
    for (const publish::PendingRelease& release : {waiting(1), waiting(2), waiting(1, other)})
      REQUIRE(store->add(release, "artifact of " + release.release_hash.hex()).has_value());
    const Bytes signed_twice = samples::signed_by(samples::release(1), {2, 3}).encode();
    CHECK(store->set_envelope(kLedger, waiting(1).release_hash, signed_twice).has_value());
  }
  const auto store = open(folder.path());
  CHECK(store->damaged().empty());
  CHECK(store->list(std::nullopt).size() == 3);
  CHECK(store->list(kLedger).size() == 2);
  CHECK(store->list(model::LedgerId{kLedger.zone, "none"}).empty());
  const publish::PendingRelease expected = waiting(2);
  const auto found = store->find(kLedger, expected.release_hash);
  REQUIRE(found.has_value());
  CHECK(found->version == 2);
  CHECK(found->expected_head_hash == expected.expected_head_hash);
  CHECK(found->envelope == expected.envelope);
  CHECK(found->publisher == expected.publisher);
  CHECK(found->message == expected.message);
  CHECK(found->received_ms == expected.received_ms);
  CHECK(store->artifact(kLedger, expected.release_hash).value() ==
        "artifact of " + expected.release_hash.hex());
  CHECK(trust::Envelope::decode(store->find(kLedger, waiting(1).release_hash)->envelope)
            ->signatures.size() == 2);
}

TEST_CASE("what is not there is not found") {
  const TemporaryFolder folder;
  const auto store = open(folder.path());
  const Hash hash = waiting(1).release_hash;
  CHECK_FALSE(store->find(kLedger, hash).has_value());
  CHECK(store->artifact(kLedger, hash).error().code == ErrorCode::kNotFound);
  CHECK(store->set_envelope(kLedger, hash, "x").error().code == ErrorCode::kNotFound);
  CHECK(store->drop(kLedger, hash).error().code == ErrorCode::kNotFound);
  REQUIRE(store->add(waiting(1), "a").has_value());
  REQUIRE(store->drop(kLedger, hash).has_value());
  CHECK(store->drop(kLedger, hash).error().code == ErrorCode::kNotFound);
  CHECK(open(folder.path())->list(std::nullopt).empty());
}

TEST_CASE("the limit is one of a ledger, and dropping makes room") {
  const TemporaryFolder folder;
  const auto store = open(folder.path());
  for (uint64_t version = 1; version <= limits::kPendingPerLedgerMax; ++version)
    REQUIRE(store->add(waiting(version), "a").has_value());
  CHECK(store->add(waiting(99), "a").error().code == ErrorCode::kLimit);
  CHECK(store->add(waiting(99, {kLedger.zone, "other"}), "a").has_value());
  REQUIRE(store->drop(kLedger, waiting(1).release_hash).has_value());
  CHECK(store->add(waiting(99), "a").has_value());
}

TEST_CASE("the limits are of each publisher and of all, in count and in bytes") {
  const TemporaryFolder folder;
  const auto of = [](const char* publisher, uint64_t version, const char* ledger) {
    publish::PendingRelease release = waiting(version, {kLedger.zone, ledger});
    release.publisher = publisher;
    return release;
  };
  const auto open_with = [&](publish::PendingLimits limits) {
    return publish::PendingStore::open(folder.path(), limits).value();
  };
  {
    const auto store = open_with({.releases = 3, .releases_per_publisher = 2});
    REQUIRE(store->add(of("mallory", 1, "a"), "12"));
    REQUIRE(store->add(of("mallory", 1, "b"), "12"));
    const auto more = store->add(of("mallory", 1, "c"), "12");
    REQUIRE_FALSE(more.has_value());
    CHECK(more.error().code == ErrorCode::kLimit);
    CHECK(more.error().message.contains("of mallory"));
    REQUIRE(store->add(of("alice", 1, "d"), "12"));
    CHECK(store->add(of("bob", 1, "e"), "12").error().message.contains("in this registry"));
    CHECK(store->list(std::nullopt).size() == 3);
  }
  const auto store = open_with({.bytes = 10, .bytes_per_publisher = 6});
  CHECK(store->add(of("mallory", 1, "f"), "123").error().message.contains("of mallory"));
  REQUIRE(store->add(of("bob", 1, "f"), "1234"));
  CHECK(store->add(of("carol", 1, "g"), "1").error().message.contains("in this registry"));
  REQUIRE(store->drop({kLedger.zone, "a"}, of("mallory", 1, "a").release_hash));
  CHECK(store->add(of("carol", 1, "g"), "12").has_value());
  // Releases kept under larger limits are all still there.
  const auto less = open_with({.releases = 1});
  CHECK(less->list(std::nullopt).size() == 4);
  CHECK(less->damaged().empty());
}

TEST_CASE("what a crash leaves is cleared") {
  const TemporaryFolder folder;
  REQUIRE(open(folder.path())->add(waiting(1), "a").has_value());
  const std::vector<fs::path> leftovers = {file_of(folder.path(), waiting(2), ".artifact"),
                                           file_of(folder.path(), waiting(2), ".artifact.new.123"),
                                           file_of(folder.path(), waiting(1), ".json.new.123")};
  for (const fs::path& leftover : leftovers) std::ofstream(leftover) << "cut short";
  const auto store = open(folder.path());
  for (const fs::path& leftover : leftovers) CHECK_FALSE(fs::exists(leftover));
  CHECK(store->damaged().empty());
  CHECK(store->list(std::nullopt).size() == 1);
}

TEST_CASE("what is damaged is reported, left where it is, and costs nothing else") {
  const auto edit = [](const fs::path& file, const std::string& from, const std::string& to) {
    Bytes text = read_file(file, 1 << 20).value();
    text.replace(text.find(from), from.size(), to);
    std::ofstream(file, std::ios::binary) << text;
  };
  const std::vector<std::pair<std::string, std::function<void(const fs::path&)>>> damages = {
      {"empty", [](auto& file) { fs::resize_file(file, 0); }},
      {"cut", [](auto& file) { fs::resize_file(file, fs::file_size(file) - 1); }},
      {"another publisher", [&](auto& file) { edit(file, "alice", "mally"); }},
      {"another head", [&](auto& file) { edit(file, "received_ms\": 1", "received_ms\": 2"); }},
      {"another checksum", [&](auto& file) { edit(file, "\nsha256 ", "\nsha256 0"); }},
      {"another's record",
       [](auto& file) {
         const publish::PendingRelease second = waiting(2);
         fs::copy_file(file.parent_path() / (second.release_hash.hex() + ".json"), file,
                       fs::copy_options::overwrite_existing);
       }},
      {"a folder",
       [](auto& file) {
         fs::remove(file);
         fs::create_directory(file);
       }},
      {"no artifact",
       [](auto& file) { fs::remove(fs::path(file).replace_extension(".artifact")); }},
      {"half an artifact",
       [](auto& file) { fs::resize_file(fs::path(file).replace_extension(".artifact"), 1); }}};
  for (const auto& [name, damage] : damages) {
    CAPTURE(name);
    const TemporaryFolder folder;
    {
      const auto store = open(folder.path());
      REQUIRE(store->add(waiting(1), "artifact").has_value());
      REQUIRE(store->add(waiting(2), "artifact").has_value());
    }
    const fs::path record = file_of(folder.path(), waiting(1), ".json");
    damage(record);
    const auto store = open(folder.path());
    REQUIRE(store->damaged().size() == 1);
    CHECK(store->damaged()[0].file == record);
    CHECK(store->damaged()[0].error.code == ErrorCode::kCorrupt);
    CHECK(store->damaged()[0].error.message.contains(record.string()));
    CHECK(fs::exists(record));
    CHECK(store->list(std::nullopt).size() == 1);
    CHECK(store->find(kLedger, waiting(2).release_hash).has_value());
    CHECK(store->artifact(kLedger, waiting(2).release_hash).has_value());
    if (name != "a folder") CHECK(store->add(waiting(1), "artifact").has_value());
  }
}

TEST_CASE("an artifact that was changed on the disk is found when it is read") {
  const TemporaryFolder folder;
  const auto store = open(folder.path());
  REQUIRE(store->add(waiting(1), "artifact").has_value());
  std::ofstream(file_of(folder.path(), waiting(1), ".artifact")) << "artifice";
  CHECK(open(folder.path())->artifact(kLedger, waiting(1).release_hash).error().code ==
        ErrorCode::kCorrupt);
}

TEST_CASE("things in the folder that are nobody's are reported and left alone") {
  const TemporaryFolder folder;
  fs::create_directories(folder.path() / "273165098782" / "Not A Ledger");
  std::ofstream(folder.path() / "a file") << "x";
  const auto store = open(folder.path());
  CHECK(store->damaged().size() == 2);
  CHECK(fs::exists(folder.path() / "a file"));
  CHECK(store->add(waiting(1), "a").has_value());
}

}  // namespace
}  // namespace notp
