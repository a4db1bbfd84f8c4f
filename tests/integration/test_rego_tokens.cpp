// A node's table of tokens in the engine's real workers.
#include <doctest/doctest.h>
#include <fmt/format.h>
#include <signal.h>
#include <zlib.h>

#include <atomic>
#include <chrono>

#include "common/clock.hpp"
#include "common/json/json.hpp"
#include "common/rego/tokens_module.hpp"
#include "notp-client/lane/table/token_table.hpp"
#include "notp-client/lane/table/token_verdict.hpp"
#include "tests/support/agent/rego_engine.hpp"
#include "tests/support/process/child_processes.hpp"
#include "tests/support/process/process.hpp"

namespace notp::rego {
namespace {

using feed::Event;
using feed::TokenRecord;
using lane::TokenTable;

const std::string kPolicy = R"(package api

lives := data.system.notp.tokens.lookup(input.token)

lane := data.system.notp.tokens.lane

revoked := data.system.notp.tokens.revoked(input.claims)

all if every i in numbers.range(1, input.count) {
	data.system.notp.tokens.lookup(sprintf("token %d", [i]))
}

# How many of the first tokens live, asked for in both directions.
twice := [count(up), count(down)] if {
	up := [i | some i in numbers.range(1, 500); data.system.notp.tokens.lookup(sprintf("token %d", [i]))]
	down := [i | some i in numbers.range(500, 1); data.system.notp.tokens.lookup(sprintf("token %d", [i]))]
}

valid := count([i |
	some i in numbers.range(0, 16383)
	not data.system.notp.tokens.revoked({"status": {"status_list": {"uri": input.uri, "idx": i * 32768}}})
])
)";

int64_t now_s() { return read_clock().wall_ms / 1000; }

std::string token(int number) { return fmt::format("token {}", number); }

Event living(int number) {
  TokenRecord record{.iss = "https://issuer.example", .sub = "alice", .client = "shop"};
  record.exp_s = now_s() + 3600;
  record.iat_s = now_s() - 5;
  return Event::token(feed::token_id(token(number)), record);
}

struct Site {
  explicit Site(EngineOptions options = {}) : host(std::move(options)) {
    auto snapshot = std::make_shared<Snapshot>(
        *SnapshotBuilder(contents).ledger("api", kPolicy).system("{}").make());
    add_tokens_module(*snapshot);
    const auto activated = host.activate(std::move(snapshot));
    REQUIRE_MESSAGE(activated, activated.error().message);
  }

  Result<void> feed(lane::TableUpdate update) {
    auto promise = std::make_shared<std::promise<Result<void>>>();
    host.engine->feed_tokens(std::move(update.feed),
                             [promise](Result<void> done) { promise->set_value(std::move(done)); });
    return promise->get_future().get();
  }
  // Applies events with the next revision.
  void apply(std::span<const Event> events) {
    table.apply(events);
    const Now now = read_clock();
    table.set_readout({.lane = "main",
                       .revision = ++revision,
                       .contact = LaneContact::kHeard,
                       .is_complete = true,
                       .heard_ms = now.wall_ms,
                       .hard_s = 900,
                       .trusted_ms = now.wall_ms,
                       .boot_ms = now.boot_ms});
    REQUIRE(feed(table.take_update()));
  }
  std::string lookup(int number) {
    return host.value({"api", "lives"}, fmt::format(R"({{"token": "{}"}})", token(number)));
  }
  std::string revoked(const std::string& claims) {
    return host.value({"api", "revoked"}, fmt::format(R"({{"claims": {}}})", claims));
  }

  ContentShelf contents;
  TokenTable table;
  EngineHost host;
  uint64_t revision = 0;
};

std::vector<Event> tokens(int first, int last) {
  std::vector<Event> events;
  for (int i = first; i <= last; ++i) events.push_back(living(i));
  return events;
}

TEST_CASE("decisions see what was applied, and say by which revision") {
  Site site;
  CHECK(site.host.value({"api", "lane"}) ==
        R"({"mode":"","name":"","revision":0,"state":"unknown"})");
  CHECK(site.lookup(1) == "undefined");
  CHECK(site.revoked("{}") == "true");

  site.apply(tokens(1, 300));
  CHECK(site.host.value({"api", "lane"}) ==
        R"({"age_s":0,"mode":"push","name":"main","revision":1,"state":"live"})");
  const auto record = parse_json(site.lookup(300));
  REQUIRE(record);
  CHECK(record->at("sub").as_string() == "alice");
  CHECK(record->at("client").as_string() == "shop");
  CHECK(site.lookup(301) == "undefined");
  CHECK(site.revoked(R"({"iss": "https://issuer.example", "sub": "alice", "iat": 5})") == "false");

  const auto mark = feed::mark_key(feed::MarkKind::kSubject, "https://issuer.example", "alice");
  site.apply(std::vector{Event::deleted(feed::token_id(token(2)), now_s() + 3600),
                         Event::mark(mark, 1000, now_s() + 3600)});
  CHECK(site.lookup(1) != "undefined");
  CHECK(site.lookup(2) == "undefined");
  CHECK(site.revoked("\"token 2\"") == "true");
  CHECK(site.revoked("\"token 1\"") == "false");
  CHECK(site.revoked(R"({"iss": "https://issuer.example", "sub": "alice", "iat": 1000})") ==
        "true");
  CHECK(site.revoked(R"({"iss": "https://issuer.example", "sub": "alice", "iat": 1001})") ==
        "false");
  site.apply(std::vector{Event::mark(mark, now_s(), now_s() + 3600)});
  CHECK(site.lookup(1) == "undefined");

  Question question{{"api", "lives"}, {R"({"token": "token 2"})"}, {}};
  question.flags = kRecordNonDeterministic;
  const auto decision = site.host.begin(std::move(question)).get();
  REQUIRE(decision);
  const Bytes& extras = decision->evaluations.at(0)->extras;
  CHECK(extras.contains(R"("lane":{"name":"main","revision":3,"state":"live"})"));
  CHECK(extras.contains(feed::token_id("token 2").hex()));
  CHECK_FALSE(extras.contains("token 2"));
}

void kill_workers() {
  for (const pid_t worker : child_processes())
    if (!program_of(worker).empty()) ::kill(worker, SIGKILL);
}

TEST_CASE("workers that are killed lose no token") {
  Site site;
  site.apply(tokens(1, 2'000));      // in files
  site.apply(tokens(2'001, 2'020));  // and in changes
  for (int round = 0; round < 5; ++round) {
    kill_workers();
    CHECK(site.host.value({"api", "all"}, R"({"count": 2020})") == "true");
    CHECK(site.host.value({"api", "lane"}).contains(fmt::format("\"revision\":{}", site.revision)));
    const int number = 3'000 + round;
    kill_workers();
    site.apply(std::vector{living(number)});  // while no worker is there, or none was greeted
    CHECK(site.lookup(number) != "undefined");
  }
}

TEST_CASE("one decision sees one table while updates run") {
  Site site;
  site.apply(tokens(1, 500));
  std::atomic<bool> is_over = false;
  std::atomic<int> decided = 0, apart = 0, different = 0;
  std::thread asks([&] {
    std::string last;
    while (!is_over) {
      const std::string pair = site.host.value({"api", "twice"});
      const auto value = parse_json(pair);
      const bool is_pair = value && value->is_array() && value->as_array().size() == 2;
      if (!is_pair || value->at(0) != value->at(1)) ++apart;
      different += pair != last ? 1 : 0;
      last = pair;
      ++decided;
    }
  });
  for (int round = 0; decided < 60; ++round) {
    // All tokens end, one after the other, and then live again.
    std::vector<Event> events;
    for (int i = 1; i <= 5; ++i) {
      Event gone = living(1 + (round * 5 + i) % 500);
      gone.record.exp_s = now_s() + (round / 100 % 2 == 0 ? -10 : 3600);
      events.push_back(gone);
    }
    site.apply(events);
  }
  is_over = true;
  asks.join();
  CHECK(apart == 0);
  CHECK(different > 10);
}

// Programs of the agent read the table as policies do.
TEST_CASE("a program's verdict is the one that policies have") {
  Site site;
  const std::string issuer = "https://issuer.example", uri = "https://issuer.example/list";
  const auto mark = [&](feed::MarkKind kind, std::string_view value, int64_t before_s) {
    return Event::mark(feed::mark_key(kind, issuer, value), before_s, now_s() + 3600);
  };
  const Bytes statuses("\x02\x00\x01", 3);
  Bytes zlib(compressBound(statuses.size()), '\0');
  uLongf size = zlib.size();
  REQUIRE(compress(reinterpret_cast<Bytef*>(zlib.data()), &size,
                   reinterpret_cast<const Bytef*>(statuses.data()), statuses.size()) == Z_OK);
  zlib.resize(size);
  const std::vector<Event> events{living(1),
                                  living(2),
                                  Event::deleted(feed::token_id(token(2)), now_s() + 3600),
                                  mark(feed::MarkKind::kSubject, "ana", 1000),
                                  mark(feed::MarkKind::kSession, "s-1", feed::kAnyIssueTime),
                                  mark(feed::MarkKind::kTokenNumber, "j-1", 1000),
                                  mark(feed::MarkKind::kTransaction, "t-1", 1000),
                                  Event::status_list(feed::token_id(uri), 1, zlib, now_s() + 3600)};
  const auto verdict = [&](const json::value& claims) {
    lane::TokenQuestion question;
    if (claims.is_string())
      question.token = feed::token_id(claims.as_string());
    else
      question.claims = claims.as_object();
    return lane::judge(site.table, question, read_clock().wall_ms).state;
  };
  CHECK(verdict(json::object{}) == lane::TokenVerdict::State::kStale);
  site.apply(events);

  std::vector<std::string> asked{"\"token 1\"", "\"token 2\"", "\"token 3\"", "{}"};
  for (const char* const what : {R"("sub": "ana")", R"("sub": "bob")", R"("sid": "s-1")",
                                 R"("jti": "j-1")", R"("txn": "t-1")", R"("txn": 7)"})
    for (const char* const iat : {"1000", "1001", "999.9", "1000.5", "-1", "1e3", "1e300",
                                  "9007199254740993", "\"1000\"", "null", "18446744073709551615"})
      for (const char* const iss : {"\"https://issuer.example\"", "\"https://other.example\"", "1"})
        asked.push_back(fmt::format(R"({{{}, "iss": {}, "iat": {}}})", what, iss, iat));
  for (const char* const idx : {"0", "1", "1.0", "2e0", "1.5", "-1", "9", "15", "16", "23", "24",
                                "1e30", "\"1\"", "null", "9223372036854775808"})
    for (const std::string& where : {uri, std::string("https://issuer.example/none")})
      asked.push_back(fmt::format(R"({{"status": {{"status_list": {{"uri": "{}", "idx": {}}}}}}})",
                                  where, idx));
  for (const char* const status :
       {R"({"status": 1})", R"({"status": {}})", R"({"status": {"status_list": 1}})",
        R"({"status": {"status_list": {"idx": 0}}})", R"({"iss": "x", "sub": ["ana"]})"})
    asked.emplace_back(status);
  size_t revoked = 0;
  for (const std::string& claims : asked) {
    const auto value = parse_json(claims);
    REQUIRE_MESSAGE(value, claims);
    const bool is_revoked = verdict(*value) == lane::TokenVerdict::State::kRevoked;
    CHECK_MESSAGE((site.revoked(claims) == "true") == is_revoked, claims);
    revoked += is_revoked ? 1 : 0;
  }
  CHECK(revoked > 20);
  CHECK(asked.size() - revoked > 100);

  // A token's own subject counts, too: what lookup() does not find is not given either.
  const auto record = [&](int number) {
    return lane::judge(site.table, {.token = feed::token_id(token(number)), .claims = {}},
                       read_clock().wall_ms)
        .record;
  };
  REQUIRE(record(1));
  CHECK(record(1)->sub == "alice");
  CHECK_FALSE(record(3));
  site.apply(std::vector{mark(feed::MarkKind::kSubject, "alice", now_s())});
  CHECK_FALSE(record(1));
  CHECK(site.lookup(1) == "undefined");
}

TEST_CASE("memory that workers share with the agent does not count against them") {
  EngineOptions options;
  options.memory_bytes = 48 << 20;
  Site site(options);
  const Bytes statuses(64 << 20, '\0');
  uLongf size = ::compressBound(statuses.size());
  Bytes zlib(size, '\0');
  REQUIRE(::compress(reinterpret_cast<Bytef*>(zlib.data()), &size,
                     reinterpret_cast<const Bytef*>(statuses.data()), statuses.size()) == Z_OK);
  zlib.resize(size);
  const std::string uri = "https://issuer.example/list";
  site.apply(std::vector{Event::status_list(feed::token_id(uri), 1, zlib, now_s() + 3600)});
  REQUIRE(site.table.lists() == 1);
  // Every page of it is read.
  CHECK(site.host.value({"api", "valid"}, fmt::format(R"({{"uri": "{}"}})", uri)) == "16384");
  CHECK(site.host.engine->status().kills == 0);
}

}  // namespace
}  // namespace notp::rego
