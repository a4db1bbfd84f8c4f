// Stores of the registry written by earlier versions, kept as they were: this version opens them
// and continues; stores of later versions stay as they are.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <functional>

#include "notp-server/audit/day_files.hpp"
#include "notp-server/enroll/join_tokens.hpp"
#include "notp-server/fleet/fleet.hpp"
#include "notp-server/publish/pending_store.hpp"
#include "tests/support/kept_stores.hpp"
#include "tests/support/temporary_folder.hpp"
#include "tests/support/wire/signed_samples.hpp"

namespace notp {
namespace {

constexpr TimeMs kWrittenMs = 1'795'000'000'000;
const model::LedgerId kPayments{273165098782, "payments"}, kAccess{100000000001, "access"};

template <typename T>
T must(Result<T> result) {
  REQUIRE_MESSAGE(result, result.error().message);
  return *std::move(result);
}
void must(const Result<void>& result) { REQUIRE_MESSAGE(result, result.error().message); }

std::string node(int number) {
  return fmt::format("spiffe://core-platform.internal/node/edge-{}", number);
}

// --- fleet.db

struct Row {
  int number = 0;  // of the node
  model::LedgerId ledger;
  uint64_t version = 0, active_version = 0;
  wire::CommitState state = wire::CommitState::kActive;
  TimeMs since_ms = 0, vouched_ms = 0;
};

// What each of the programs was told, in values of today.
void check_fleet(fleet::Fleet& fleet, int format) {
  const auto page = must(fleet.list("", 10));
  REQUIRE(page.nodes.size() == 3);
  const TimeMs seen_ms[] = {kWrittenMs + 9'500, kWrittenMs + 9'600, kWrittenMs + 200};
  for (size_t i = 0; i < 3; ++i) {
    const wire::NodeRow& row = page.nodes[i];
    CHECK(row.identity == node(static_cast<int>(i) + 1));
    CHECK(row.user_agent == "notp-client/0.1.0");
    CHECK_FALSE(row.connected);  // the third one was when that program was killed
    CHECK(row.seen_ms == seen_ms[i]);
    CHECK_FALSE(row.lag_since_ms);
  }
  // Format 1 did not know when a release was attested.
  const TimeMs vouched_ms = format > 1 ? kWrittenMs + 5'000 : 0;
  const auto expected = {
      Row{1, kAccess, 3, 3, wire::CommitState::kActive, kWrittenMs + 1'200, 0},
      Row{1, kPayments, 8, 7, wire::CommitState::kRejected, kWrittenMs + 9'000, vouched_ms},
      Row{2, kPayments, 7, 7, wire::CommitState::kActive, kWrittenMs + 1'300, vouched_ms}};
  size_t at = 0;
  for (const Row& row : expected) {
    const auto& ledgers = page.nodes[static_cast<size_t>(row.number) - 1].ledgers;
    at = row.number == 1 && row.ledger == kPayments ? 1 : 0;
    REQUIRE(ledgers.size() == (row.number == 1 ? 2 : 1));
    const wire::NodeLedger& held = ledgers[at];
    CHECK(held.ledger == row.ledger);
    CHECK(held.version == row.version);
    CHECK(held.active_version == row.active_version);
    CHECK(held.state == row.state);
    CHECK(held.since_ms == row.since_ms);
    CHECK(held.vouched_ms == row.vouched_ms);
    CHECK(held.freshness ==
          (format > 1 ? trust::FreshnessState::kFresh : trust::FreshnessState::kUntracked));
    const bool is_rejected = row.state == wire::CommitState::kRejected;
    CHECK(held.code == (is_rejected ? static_cast<uint32_t>(ErrorCode::kPdpRejected) : 0));
    CHECK(held.message == (is_rejected ? "rules.rego:3: var x is unsafe" : ""));
  }
  CHECK(page.nodes[2].ledgers.empty());
  // Formats below 4 did not know what a node wants: what it reported on counts.
  const auto both = must(fleet.subscribed_together(kPayments, kAccess));
  REQUIRE(both);
  CHECK((*both == node(1) || (format >= 4 && *both == node(3))));
}

// What a new database has.
std::pair<int, std::vector<std::string>> fleet_of_today() {
  const TemporaryFolder folder;
  const auto file = folder.path() / "fleet.db";
  must(fleet::Fleet::open(file)).reset();
  return {kept::format_of(file), kept::schema_of(file)};
}

TEST_CASE("kept fleet databases of all earlier formats become one of today, and go on") {
  const auto [today, schema] = fleet_of_today();
  for (int format = 1; format < today; ++format) {
    CAPTURE(format);
    const TemporaryFolder folder;
    const auto file = folder.path() / "fleet.db";
    kept::restore(file, fmt::format("fleet_db_{}", format));
    CHECK(kept::format_of(file) == format);
    CHECK(kept::schema_of(file) != schema);
    check_fleet(*must(fleet::Fleet::open(file)), format);
    CHECK(kept::format_of(file) == today);
    CHECK(kept::schema_of(file) == schema);
    {
      const auto fleet = must(fleet::Fleet::open(file));
      check_fleet(*fleet, format);
      must(fleet->node_seen(node(3), "notp-client/0.2.0", true, kWrittenMs + 20'000));
      must(fleet->subscribed(node(3), {kPayments}));
      must(fleet->report(node(3), {kPayments, 8, wire::CommitState::kActive, 0, "", {}},
                         kWrittenMs + 20'001));
      fleet->log_offered(node(3), 5'000, kWrittenMs + 20'002);
      must(fleet->node_seen(node(3), "notp-client/0.2.0", false, kWrittenMs + 20'003));
    }
    const auto page = must(must(fleet::Fleet::open(file))->list(node(2), 10));
    REQUIRE(page.nodes.size() == 1);
    REQUIRE(page.nodes[0].ledgers.size() == 1);
    CHECK(page.nodes[0].user_agent == "notp-client/0.2.0");
    CHECK(page.nodes[0].ledgers[0].active_version == 8);
    CHECK(page.nodes[0].lag_since_ms == kWrittenMs + 15'002);
  }
}

// --- join-tokens.db

ErrorCode code_of_use(enroll::JoinTokens& tokens, const std::string& name, TimeMs now_ms) {
  const auto used = tokens.use(sha256("secret of " + name), sha256("key of " + name), now_ms,
                               [&](const std::string& issued) -> Result<std::string> {
                                 CHECK(issued == name);
                                 return "certificate of " + issued;
                               });
  return used ? ErrorCode{} : used.error().code;
}

std::pair<int, std::vector<std::string>> tokens_of_today() {
  const TemporaryFolder folder;
  const auto file = folder.path() / "join-tokens.db";
  must(enroll::JoinTokens::open(file)).reset();
  return {kept::format_of(file), kept::schema_of(file)};
}

TEST_CASE("kept join tokens of format 1 become those of today: what is out can be used once") {
  const auto [today, schema] = tokens_of_today();
  const TemporaryFolder folder;
  const auto file = folder.path() / "join-tokens.db";
  kept::restore(file, "join_tokens_db_1");
  const TimeMs now_ms = kWrittenMs + 7'200'000;
  must(enroll::JoinTokens::open(file)).reset();
  CHECK(kept::format_of(file) == today);
  CHECK(kept::schema_of(file) == schema);
  {
    const auto tokens = must(enroll::JoinTokens::open(file));
    CHECK_FALSE(tokens->knows("edge-1"));  // format 1 kept no keys
    CHECK(code_of_use(*tokens, "edge-1", now_ms) == ErrorCode::kJoinRefused);  // used then
    CHECK(code_of_use(*tokens, "edge-3", now_ms) == ErrorCode::kJoinRefused);  // has expired
    CHECK(code_of_use(*tokens, "edge-2", now_ms) == ErrorCode{});
  }
  const auto tokens = must(enroll::JoinTokens::open(file));
  CHECK(tokens->knows("edge-2"));
  const auto again = tokens->use(sha256("secret of edge-2"), sha256("key of edge-2"), now_ms,
                                 [](const std::string&) -> Result<std::string> { return "other"; });
  REQUIRE(again);
  CHECK(again->certificate == "certificate of edge-2");
  CHECK(again->is_again);
}

// --- a later program's

TEST_CASE("databases of a later format are refused and not changed; their own program goes on") {
  const TemporaryFolder folder;
  struct Store {
    std::string file;
    std::function<Result<void>(const std::filesystem::path&)> open;
    std::string message;  // {0}: the format, {1}: that of this program
  };
  const Store stores[] = {{"fleet.db",
                           [](const auto& file) -> Result<void> {
                             NOTP_TRY(fleet::Fleet::open(file));
                             return {};
                           },
                           "the fleet database has format {}, this program reads up to {}"},
                          {"join-tokens.db",
                           [](const auto& file) -> Result<void> {
                             NOTP_TRY(enroll::JoinTokens::open(file));
                             return {};
                           },
                           "the join tokens have format {}, this program reads {}"},
                          {"logs.db",
                           [](const auto& file) -> Result<void> {
                             NOTP_TRY(audit::DayFiles::open(file.parent_path(), {}));
                             return {};
                           },
                           "the database of logs has format {}, this program reads {}"}};
  for (const Store& store : stores) {
    CAPTURE(store.file);
    const auto file = folder.path() / store.file;
    must(store.open(file));
    const int format = kept::format_of(file);
    for (const int other : {format + 1, 99, -1}) {
      kept::set_format(file, other);
      const Bytes before = kept::content_of(file);
      const auto opened = store.open(file);
      REQUIRE_FALSE(opened);
      const std::string message = fmt::format(fmt::runtime(store.message), other, format);
      CHECK_MESSAGE(opened.error().message.contains(message), opened.error().message);
      CHECK(kept::content_of(file) == before);
    }
    // A number below that of the tables is damage.
    for (int lower = 0; lower < format; ++lower) {
      CAPTURE(lower);
      kept::set_format(file, lower);
      const Bytes before = kept::content_of(file);
      CHECK_FALSE(store.open(file));
      CHECK(kept::content_of(file) == before);
    }
    kept::set_format(file, format);
    must(store.open(file));
  }
}

// --- pending releases

TEST_CASE("kept pending releases without a later field wait on, and are written with it") {
  const TemporaryFolder folder;
  const auto pending = folder.path() / "pending";
  const auto place = pending / "273165098782/payments";
  std::filesystem::create_directories(place);
  const std::string prefix = "pending.";
  for (const auto& file : std::filesystem::directory_iterator(kept::kept_store("")))
    if (const std::string name = file.path().filename().string(); name.starts_with(prefix))
      std::filesystem::copy(file.path(), place / name.substr(prefix.size()));
  const auto file_of = [&](const publish::PendingRelease& release) {
    return pending / "273165098782/payments" / (release.release_hash.hex() + ".json");
  };
  publish::PendingRelease first;
  {
    const auto store = must(publish::PendingStore::open(pending));
    CHECK(store->damaged().empty());
    const auto waiting = store->list(std::nullopt);
    REQUIRE(waiting.size() == 2);
    for (const publish::PendingRelease& release : waiting) {
      CHECK(release.ledger == kPayments);
      CHECK(release.publisher == "spiffe://core-platform.internal/publisher/alice");
      CHECK(release.message == "a \"message\"\nof two lines, ünïcode");
      CHECK(release.received_ms == samples::kIssuedMs);
      CHECK_FALSE(release.break_dependants);
      CHECK_FALSE(kept::content_of(file_of(release)).contains("break_dependants"));
      CHECK(must(store->artifact(kPayments, release.release_hash)) ==
            "artifact of " + release.release_hash.hex());
      if (release.version == 1) first = release;
    }
    // Another publisher signs it.
    auto envelope = must(trust::Envelope::decode(first.envelope));
    trust::sign_envelope(envelope, PrivateKey::generate());
    must(store->set_envelope(kPayments, first.release_hash, envelope.encode()));
  }
  CHECK(kept::content_of(file_of(first)).contains("\"break_dependants\": false"));
  const auto store = must(publish::PendingStore::open(pending));
  CHECK(store->damaged().empty());
  const auto signed_twice = store->find(kPayments, first.release_hash);
  REQUIRE(signed_twice);
  CHECK(must(trust::Envelope::decode(signed_twice->envelope)).signatures.size() == 2);
}

}  // namespace
}  // namespace notp
