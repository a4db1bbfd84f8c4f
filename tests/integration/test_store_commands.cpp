// `notp-client store`: its reports on a sound store, on damage, and on a store in use; one full
// release repairs damage.
#include <doctest/doctest.h>

#include <fstream>

#include "common/json/json.hpp"
#include "common/storage/files.hpp"
#include "notp-client/agent/core/install.hpp"
#include "notp-client/app/store_commands.hpp"
#include "protocol/delta/artifact.hpp"
#include "tests/support/agent/stored_models.hpp"
#include "tests/support/wire/signed_samples.hpp"

namespace notp {
namespace {

using namespace notp::stored;
using samples::kLedger;

// A signed record of kLedger, and the artifact with the same content.
struct SignedRelease {
  store::InstallRecord record;
  std::shared_ptr<const Bytes> artifact;
};

SignedRelease signed_release(const Model& model, uint64_t version, const Hash& previous = {},
                             uint8_t signer = 2) {
  SignedRelease out;
  store::InstallRecord& record = out.record = install_of(model, version, 1, kLedger);
  trust::Release release = samples::release(version);
  if (version > 1) release.previous_hash = previous;
  release.content_root = record.tree->content_root();
  release.total_bytes = record.tree->total_bytes();
  release.file_count = record.tree->files().size();
  const trust::Envelope envelope = samples::signed_by(release, {signer});
  record.release = std::move(release);
  record.ref = trust::ref_of(record.release, trust::release_hash(envelope.payload));
  record.envelope = envelope.encode();
  const delta::ReleaseContent target{
      record.envelope, record.tree.get(),
      [&](const Hash& hash) -> Result<model::Content> { return record.new_blobs.at(hash); }};
  out.artifact = std::make_shared<const Bytes>(delta::encode_artifact(nullptr, target).value());
  return out;
}

Bytes root_envelope() { return samples::signed_by(samples::root(), {1}).encode(); }

// Two releases with a large document each, and the second one's artifact.
struct Stored {
  TemporaryFolder folder;
  Model first = {{"manifest.json", "{}"}, {"payments/data.json", document(1 << 20, 3)}};
  Model second = first;
  SignedRelease newest;

  explicit Stored(uint8_t signer = 2) {
    second["payments/data.json"].replace(300'000, 6, "edited");
    auto store = open(folder.path());
    REQUIRE(store->pin_root({1, root_envelope()}, false));
    const SignedRelease older = signed_release(first, 1);
    REQUIRE(store->install(older.record));
    newest = signed_release(second, 2, older.record.ref.release_hash, signer);
    REQUIRE(store->install(newest.record));
  }
  client::StoreAnswer verify(bool as_json = false) const {
    client::StoreCommandOptions order;
    order.data_dir = folder.path();
    order.as_json = as_json;
    auto answer = client::verify_store(order);
    REQUIRE_MESSAGE(answer, answer.error().message);
    return *std::move(answer);
  }
  json::array findings() const {
    return parse_json(verify(true).text).value().at("findings").as_array();
  }
  // As an agent does after it has found damage and has the newest release complete.
  void fetch_whole() const {
    auto store = open(folder.path());
    trust::Trusted trusted =
        samples::trusting(samples::root(), store->load()->ledgers.at(kLedger).floor);
    const auto installed = agent::install_release({.ledger = kLedger,
                                                   .version = 2,
                                                   .artifact = newest.artifact,
                                                   .base_version = 0,
                                                   .base_envelope = {},
                                                   .trusted = std::move(trusted),
                                                   .now_ms = samples::kIssuedMs,
                                                   .confirmed = {},
                                                   .kept_versions = {1}},
                                                  *store);
    REQUIRE_MESSAGE(installed, installed.error().message);
    collect_all(*store);
  }
};

bool says(const client::StoreAnswer& answer, std::string_view words) {
  return answer.text.find(words) != std::string::npos;
}

}  // namespace

TEST_CASE("a sound store: nothing is found, nothing is changed") {
  const Stored stored;
  const auto file = stored.folder.path() / "agent.db";
  const auto before = std::filesystem::last_write_time(file);
  const client::StoreAnswer answer = stored.verify();
  CHECK(answer.exit == exit_code::kOk);
  CHECK(says(answer, "2 releases, 3 contents"));
  CHECK(says(answer, "everything is as it was signed and stored"));
  CHECK(stored.findings().empty());
  CHECK(std::filesystem::last_write_time(file) == before);
}

TEST_CASE("no store, a store in use, a store of another program") {
  client::StoreCommandOptions order;
  TemporaryFolder empty;
  order.data_dir = empty.path();
  CHECK(client::verify_store(order).error().code == ErrorCode::kNotFound);
  CHECK(client::describe_store(order).error().code == ErrorCode::kNotFound);
  CHECK(std::filesystem::is_empty(empty.path()));

  const Stored stored;
  order.data_dir = stored.folder.path();
  {
    const auto agent = open(stored.folder.path());
    const auto refused = client::verify_store(order);
    REQUIRE_FALSE(refused);
    CHECK(refused.error().code == ErrorCode::kConflict);
    CHECK(refused.error().message.find("is in use by process") != std::string::npos);
    CHECK(client::describe_store(order).error().code == ErrorCode::kConflict);
  }
  {
    SQLite::Database database((stored.folder.path() / "agent.db").string(), SQLite::OPEN_READWRITE);
    database.exec("PRAGMA user_version = 99");
  }
  CHECK(client::verify_store(order).error().code == ErrorCode::kConfig);
}

TEST_CASE("damage is found, named, and gone after one full release") {
  const Stored stored;
  const auto hurt = [&](const std::string& sql) { damage(stored.folder.path(), sql); };
  std::string part = "content";
  bool older_is_lost = false;  // the older release is not sent again
  SUBCASE("a flipped byte of a segment") {
    hurt(
        "UPDATE segment_contents SET content = substr(content, 1, 100) || x'00' || "
        "substr(content, 102) WHERE segment = 3");
  }
  SUBCASE("flipped bytes of all that both releases have") {
    hurt(
        "UPDATE segment_contents SET content = substr(content, 1, 20) || x'5a5a' || "
        "substr(content, 23) WHERE segment IN (SELECT id FROM segments WHERE holders = 2)");
  }
  SUBCASE("a lost segment") { hurt("DELETE FROM segment_contents WHERE segment = 2"); }
  SUBCASE("a lost row of a segment") {
    older_is_lost = true;
    hurt("DELETE FROM segments WHERE id = 2");
  }
  SUBCASE("a small content") {
    hurt(
        "UPDATE blob_contents SET content = x'7c7d' WHERE blob IN (SELECT blob FROM files WHERE "
        "path = CAST('manifest.json' AS BLOB))");
  }
  SUBCASE("a list of segments of the newest") {
    hurt("UPDATE blobs SET segments = x'ffff' WHERE id = (SELECT MAX(id) FROM blobs)");
  }
  SUBCASE("a count of holders") {
    part = "segment";
    hurt("UPDATE segments SET holders = holders + 1 WHERE id = 4");
  }
  SUBCASE("a row of a release") {
    part = "release";
    hurt("UPDATE releases SET confirmed = 1 WHERE version = 2");
  }
  SUBCASE("a file list") {
    part = "release";
    hurt("UPDATE files SET path = CAST('other.json' AS BLOB) WHERE first_install = 2");
  }
  CHECK(stored.verify().exit == exit_code::kFailure);
  CHECK(says(stored.verify(), "what to do: "));
  bool named = false;
  for (const json::value& finding : stored.findings())
    named |= finding.at("part").as_string() == part;
  CHECK(named);

  stored.fetch_whole();
  const json::array left = stored.findings();
  CHECK(left.size() == (older_is_lost ? 1 : 0));
  for (const json::value& finding : left)
    CHECK(finding.at("subject").as_string() == kLedger.text() + " v1 payments/data.json");
  auto store = open(stored.folder.path());
  for (const auto& [path, content] : stored.second)
    CHECK(**store->blob(model::blob_hash(content)) == content);
}

TEST_CASE("healing writes again only what is damaged") {
  const Stored stored;
  damage(stored.folder.path(), "UPDATE blob_contents SET content = x'7c7d'");
  const auto sums = [&] {
    SQLite::Database database((stored.folder.path() / "agent.db").string());
    SQLite::Statement query(database, "SELECT segment, content FROM segment_contents");
    std::map<int64_t, std::string> out;
    while (query.executeStep()) out[query.getColumn(0).getInt64()] = query.getColumn(1).getString();
    return out;
  };
  const auto before = sums();
  stored.fetch_whole();
  CHECK(sums() == before);
  CHECK(stored.findings().empty());
}

TEST_CASE("what decides is damaged: a person has to act") {
  const Stored stored;
  std::string part = "ledger";
  SUBCASE("floor") { damage(stored.folder.path(), "UPDATE ledgers SET version = 1"); }
  SUBCASE("root") {
    part = "root";
    damage(stored.folder.path(), "UPDATE roots SET envelope = CAST('x' AS BLOB)");
  }
  SUBCASE("clock") {
    part = "clock";
    damage(stored.folder.path(), "UPDATE clock SET high_water_ms = 1");
  }
  CHECK(stored.verify().exit == exit_code::kFailure);
  CHECK(says(stored.verify(), "move the data folder away"));
  CHECK(stored.findings().at(0).at("part").as_string() == part);
}

TEST_CASE("a database that is none any more") {
  const Stored stored;
  {
    std::ofstream out(stored.folder.path() / "agent.db", std::ios::binary | std::ios::in);
    out << "no header of SQLite";
  }
  CHECK(stored.verify().exit == exit_code::kFailure);
  CHECK(stored.findings().at(0).at("part") == "database");
}

TEST_CASE("a release that nobody signed who may is untrusted, not damaged") {
  const Stored stored(/*signer=*/9);
  const client::StoreAnswer answer = stored.verify();
  CHECK(answer.exit == exit_code::kUntrusted);
  CHECK(says(answer, "stored release 2 of " + kLedger.text()));
}

TEST_CASE("another pinned root than the store's is told") {
  const Stored stored;
  trust::Root other = samples::root();
  other.issued_ms += 1;
  const auto file = stored.folder.path() / "root";
  REQUIRE(write_file(file, samples::signed_by(other, {1}).encode()));
  client::StoreCommandOptions order;
  order.data_dir = stored.folder.path();
  order.root = file;
  order.trust_domain = std::string(samples::kDomain);
  const auto answer = client::verify_store(order);
  REQUIRE(answer);
  CHECK(answer->exit == exit_code::kUntrusted);
  CHECK(says(*answer, "two different roots"));
}

TEST_CASE("stats: what is kept, what it costs and what is shared") {
  const Stored stored;
  client::StoreCommandOptions order;
  order.data_dir = stored.folder.path();
  const auto text = client::describe_store(order);
  REQUIRE_MESSAGE(text, text.error().message);
  CHECK(says(*text, kLedger.text() + ": floor v2"));
  CHECK(says(*text, "confirmed") == false);
  order.as_json = true;
  const auto answer = client::describe_store(order);
  REQUIRE(answer);
  const json::value stats = parse_json(answer->text).value();
  CHECK(stats.at("root_version") == 1);
  const json::value& ledger = stats.at("ledgers").at(0);
  const auto whole = stored.newest.record.tree->total_bytes();
  CHECK(ledger.at("shared_bytes") == 2);  // manifest.json
  REQUIRE(ledger.at("releases").as_array().size() == 2);
  CHECK(ledger.at("releases").at(0).at("version") == 2);
  CHECK(ledger.at("releases").at(0).at("bytes") == whole);
  CHECK(ledger.at("releases").at(0).at("own_bytes") == whole - 2);
  // The documents differ in one place: nearly all of their segments are the same.
  CHECK(stats.at("shared_segment_bytes").to_number<uint64_t>() > 700'000);
  CHECK(stats.at("segment_bytes").to_number<uint64_t>() < 1'400'000);
  CHECK(stats.at("staged_bytes") == 0);
}

}  // namespace notp
