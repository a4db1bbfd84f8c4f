// Streams of token messages: what is read, what is asked, and that a lost delete is found.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include "common/crypto/digest.hpp"
#include "notp-server/lane_inputs/pull_limits.hpp"
#include "notp-server/lane_inputs/redis_protocol.hpp"
#include "notp-server/lane_inputs/refusal.hpp"
#include "notp-server/lane_inputs/stream_core.hpp"

namespace notp::lane_inputs {
namespace {

using State = lane::SourceState::State;
using Attributes = Result<std::optional<lane::TokenAdded>>;

constexpr TimeMs kWall = 1'800'000'000'000;
constexpr int64_t kExp = kWall / 1'000 + 3'600;

std::string rule_for(std::string_view text, IdForm form = IdForm::kToken) {
  const auto message = read_token_message(text, form);
  return message ? "taken" : std::string(rule_of(message.error()));
}

TEST_CASE("messages are read in both forms of their ids, and others are refused by name") {
  const auto add = read_token_message(
      R"({"tknTyp":"access_token","tknId":"opaque-1","tknOp":"add","more":[1]})", IdForm::kToken);
  REQUIRE(add);
  CHECK(add->operation == TokenOperation::kAdd);
  CHECK(add->type == "access_token");
  CHECK(add->id == feed::token_id("opaque-1"));
  CHECK(add->token.text() == "opaque-1");
  const auto old = read_token_message(R"({"tknTyp":"id_token","tknCde":"opaque-1","tknOp":"del"})",
                                      IdForm::kToken);
  REQUIRE(old);
  CHECK(old->id == add->id);
  const std::string hash = sha256("opaque-1").hex();
  for (const std::string& id : {hash, "{sha256Hex}" + hash}) {
    const auto hashed = read_token_message(
        fmt::format(R"({{"tknTyp":"access_token","tknId":"{}","tknOp":"del"}})", id),
        IdForm::kSha256);
    REQUIRE(hashed);
    CHECK(hashed->id == add->id);
    CHECK(hashed->token.empty());
  }
  const auto message = [](std::string_view type, std::string_view id, std::string_view operation) {
    return fmt::format(R"({{"tknTyp":{},"tknId":{},"tknOp":{}}})", type, id, operation);
  };
  CHECK(rule_for(message(R"("a")", R"("b")", R"("add")")) == "taken");
  CHECK(rule_for("") == "message.not-json");
  CHECK(rule_for("add") == "message.not-json");
  CHECK(rule_for(R"({"tknOp":"add","tknOp":"del"})") == "message.not-json");
  CHECK(rule_for("[]") == "message.not-an-object");
  CHECK(rule_for(message(R"("")", R"("b")", R"("add")")) == "message.type");
  CHECK(rule_for(message("5", R"("b")", R"("add")")) == "message.type");
  CHECK(rule_for(message(fmt::format(R"("{}")", std::string(65, 'a')), R"("b")", R"("add")")) ==
        "message.type");
  CHECK(rule_for(message(R"("a")", R"("b")", R"("ADD")")) == "message.operation");
  CHECK(rule_for(message(R"("a")", R"("b")", "null")) == "message.operation");
  CHECK(rule_for(message(R"("a")", R"("")", R"("add")")) == "message.id");
  CHECK(rule_for(message(R"("a")", "7", R"("add")")) == "message.id");
  CHECK(rule_for(message(R"("a")", R"("a b")", R"("add")")) == "message.id");
  CHECK(rule_for(message(R"("a")", fmt::format(R"("{}")", std::string((16 << 10) + 1, 'a')),
                         R"("add")")) == "message.id");
  CHECK(rule_for(std::string(kStreamMessageBytesMax + 1, ' ')) == "message.too-large");
  CHECK(rule_for(message(R"("a")", R"("{sha256Hex}00")", R"("add")")) == "message.hashed-id");
  CHECK(rule_for(message(R"("a")", R"("opaque-1")", R"("add")"), IdForm::kSha256) ==
        "message.not-a-hash");
  CHECK(rule_for(message(R"("a")", fmt::format(R"("{}")", hash.substr(32)), R"("add")"),
                 IdForm::kSha256) == "message.not-a-hash");
  const std::string good = message(R"("a")", R"("b")", R"("add")");
  CHECK(read_base64_message(to_base64(good), IdForm::kToken));
  CHECK(rule_of(read_base64_message(good, IdForm::kToken).error()) == "message.not-base64");
}

TEST_CASE("replies of Redis are read in any pieces, within limits") {
  const Bytes stream =
      "+OK\r\n-NOAUTH no\r\n:7\r\n$-1\r\n*3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$3\r\na\r\n\r\n";
  for (const size_t piece : {1u, 2u, 7u, 1000u}) {
    RedisReader reader(64);
    std::vector<RedisReply> replies;
    for (size_t at = 0; at < stream.size(); at += piece) {
      REQUIRE(reader.feed(ByteView(stream).substr(at, piece)));
      while (auto reply = reader.next().value()) replies.push_back(*std::move(reply));
    }
    REQUIRE(replies.size() == 5);
    CHECK(replies[0].text == "OK");
    CHECK(replies[1].kind == RedisReply::Kind::kError);
    CHECK(replies[2].integer == 7);
    CHECK(replies[3].kind == RedisReply::Kind::kNil);
    REQUIRE(replies[4].items.size() == 3);
    CHECK(replies[4].items[2].text == "a\r\n");
  }
  const auto refused = [](ByteView bytes) {
    RedisReader reader(64);
    return !reader.feed(bytes) || !reader.next();
  };
  CHECK(refused("HTTP/1.1 400 Bad Request\r\n"));
  CHECK(refused("*1000000000\r\n"));
  CHECK(refused("*9\r\n"));
  CHECK(refused("*1\r\n*1\r\n:1\r\n"));
  CHECK(refused("$999999999\r\n" + std::string(80, 'x')));
  CHECK(refused("$65\r\n" + std::string(65, 'x') + "\r\n*1\r\n"));
  CHECK(refused("*1\r\n$65\r\n" + std::string(65, 'x') + "\r\n"));
  CHECK_FALSE(refused("*1\r\n$64\r\n"));
}

// A stream whose provider and lane are in the hands of a test.
struct Stream {
  explicit Stream(StreamTerms terms = {}) : core(terms, random, now()) {}

  Now now() const { return {kWall + clock_ms, clock_ms}; }
  void message(std::string_view operation, const std::string& token) {
    const std::string id = core_form == IdForm::kToken ? token : sha256(token).hex();
    core.message(
        read_token_message(
            fmt::format(R"({{"tknTyp":"access_token","tknId":"{}","tknOp":"{}"}})", id, operation),
            core_form),
        now());
  }
  // Answers every question by `alive`, and takes every event, for some time.
  void settle() {
    for (int idle = 0; idle < 600;) {
      if (const auto after = core.next_look(now())) {
        core.looked(before(*after), now());
      } else if (auto order = core.next_resolve(now())) {
        ++asked;
        core.resolved(order->id, answer(order->token.text()), now());
      } else if (auto events = core.next_take(now())) {
        lane::IntakeOutcome outcome;
        outcome.refused.resize(events->size());
        for (const lane::IncomingEvent& event : *events) seen.push_back(event.key);
        core.taken(std::move(outcome), now());
      } else {
        // A host that waits until then misses nothing.
        const bool is_due = core.next_deadline() <= now().boot_ms;
        CHECK((!is_due || core.connect_due() <= now().boot_ms));
        ++clock_ms;
        ++idle;
      }
    }
  }
  Attributes answer(const std::string& token) const {
    if (is_down) return fail(ErrorCode::kUnavailable, "the provider is down");
    if (!alive.contains(token)) return std::nullopt;
    return lane::TokenAdded{feed::token_id(token), {{"exp", kExp + clock_ms / 1'000}}};
  }
  // What the lane has, in pages of one token.
  Result<lane::LivingPage> before(const feed::TokenId& after) const {
    if (is_lane_down) return fail(ErrorCode::kIo, "the disk is gone");
    lane::LivingPage out;
    for (auto at = living.upper_bound(after); at != living.end(); ++at) {
      if (!out.tokens.empty()) {
        out.next = out.tokens.back().id;
        break;
      }
      out.tokens.push_back(at->second);
    }
    return out;
  }
  void has(const std::string& token, int64_t exp_s, int64_t taken_s) {
    const auto id = feed::token_id(token);
    living[id] = {id, exp_s, taken_s};
  }
  State state() const { return core.state(now()).state; }
  bool was_seen(const std::string& token, std::string_view operation) const {
    return std::ranges::find(seen, fmt::format("{}:{}", feed::token_id(token).hex(), operation)) !=
           seen.end();
  }

  IdForm core_form = IdForm::kToken;
  SeededRandom random{7};
  TimeMs clock_ms = 1'000;
  StreamCore core;
  std::set<std::string> alive;
  std::map<feed::TokenId, lane::LivingToken> living;
  bool is_down = false, is_lane_down = false;
  int asked = 0;
  std::vector<std::string> seen;
};

TEST_CASE("an add is introspected, a delete goes out at once, and neither twice") {
  Stream stream;
  stream.core.connected(stream.now());
  stream.settle();
  CHECK(stream.state() == State::kOk);
  stream.alive = {"a", "b"};
  stream.message("add", "a");
  stream.message("add", "a");
  stream.message("add", "b");
  stream.message("add", "revoked-meanwhile");
  stream.settle();
  CHECK(stream.asked == 3);
  CHECK(stream.seen.size() == 3);
  CHECK(stream.was_seen("a", "add"));
  CHECK(stream.was_seen("revoked-meanwhile", "del"));
  CHECK(stream.core.book_size() == 2);
  stream.message("add", "a");
  stream.settle();
  CHECK(stream.asked == 3);
  stream.message("del", "a");
  CHECK(stream.core.next_take(stream.now())->at(0).key == feed::token_id("a").hex() + ":del");
  stream.core.taken(fail(ErrorCode::kOverloaded, "full"), stream.now());
  CHECK(stream.core.book_size() == 2);  // the lane does not know yet
  CHECK(stream.state() == State::kLate);
  CHECK_FALSE(stream.core.next_take(stream.now()));
  stream.clock_ms += 500;
  stream.settle();
  CHECK(stream.was_seen("a", "del"));
  CHECK(stream.core.book_size() == 1);
  CHECK(stream.core.state(stream.now()).events == 4);
}

TEST_CASE("a delete that comes during the question wins over its answer") {
  Stream stream;
  stream.core.connected(stream.now());
  stream.alive = {"a"};
  stream.message("add", "a");
  const auto order = stream.core.next_resolve(stream.now());
  REQUIRE(order);
  stream.message("del", "a");
  stream.core.resolved(order->id, stream.answer("a"), stream.now());
  stream.settle();
  CHECK(stream.seen == std::vector<std::string>{feed::token_id("a").hex() + ":del"});
  CHECK(stream.core.book_size() == 0);
}

TEST_CASE("deletes that were lost with a connection are found, and until then it is late") {
  Stream stream;
  stream.core.connected(stream.now());
  for (int i = 0; i < 50; ++i) {
    stream.alive.insert(fmt::format("t{}", i));
    stream.message("add", fmt::format("t{}", i));
  }
  stream.settle();
  REQUIRE(stream.core.book_size() == 50);
  stream.core.disconnected({ErrorCode::kUnavailable, "gone", {}}, stream.now());
  CHECK(stream.state() == State::kLate);
  CHECK(stream.core.connect_due() < stream.now().boot_ms + kReconnectMs + 1);
  stream.alive.erase("t7");
  stream.alive.erase("t31");
  stream.core.connected(stream.now());
  stream.asked = 0;
  CHECK(stream.state() == State::kLate);
  // All but the last answer: still late.
  std::vector<ResolveOrder> orders;
  while (orders.size() < 4) {
    if (auto order = stream.core.next_resolve(stream.now())) orders.push_back(*std::move(order));
    ++stream.clock_ms;  // the pace of a sweep
  }
  for (const ResolveOrder& order : orders)
    stream.core.resolved(order.id, stream.answer(order.token.text()), stream.now());
  CHECK(stream.state() == State::kLate);
  stream.settle();
  CHECK(stream.asked + orders.size() == 50u);
  CHECK(stream.was_seen("t7", "del"));
  CHECK(stream.was_seen("t31", "del"));
  CHECK(stream.seen.size() == 52);
  CHECK(stream.state() == State::kOk);
  CHECK(stream.core.book_size() == 48);
}

TEST_CASE("an answer from before a lost connection is asked for again") {
  Stream stream;
  stream.core.connected(stream.now());
  stream.alive = {"a"};
  stream.message("add", "a");
  const auto order = stream.core.next_resolve(stream.now());
  const Attributes before = stream.answer("a");
  stream.core.disconnected({ErrorCode::kUnavailable, "gone", {}}, stream.now());
  stream.alive.clear();  // its delete is lost
  ++stream.clock_ms;
  stream.core.connected(stream.now());
  CHECK_FALSE(stream.core.next_resolve(stream.now()));  // the sweep begins: the book is empty
  stream.core.resolved(order->id, before, stream.now());
  stream.settle();
  stream.clock_ms += kSweepMs;
  stream.settle();
  CHECK(stream.was_seen("a", "del"));
}

TEST_CASE("a sweep goes on while the broker is away, and waits for a provider that is") {
  Stream stream;
  stream.core.connected(stream.now());
  stream.alive = {"a", "b", "c", "d", "e", "f"};
  for (const std::string& token : stream.alive) stream.message("add", token);
  stream.settle();
  stream.core.disconnected({ErrorCode::kUnavailable, "gone", {}}, stream.now());
  stream.alive.erase("c");
  stream.clock_ms += kSweepMs;
  CHECK(stream.state() == State::kFailing);
  stream.settle();
  CHECK(stream.was_seen("c", "del"));

  stream.core.connected(stream.now());
  stream.alive.erase("d");
  stream.is_down = true;
  stream.asked = 0;
  stream.settle();
  CHECK(stream.asked <= int(kIntrospectionCallsMax));
  CHECK(stream.state() == State::kLate);
  CHECK(stream.core.state(stream.now()).message == "introspection: the provider is down");
  CHECK_FALSE(stream.was_seen("d", "del"));  // no answer is no reason
  stream.is_down = false;
  stream.clock_ms += kSweepRetryMs;
  stream.settle();
  CHECK(stream.was_seen("d", "del"));
  CHECK(stream.state() == State::kOk);
  // Lost without a lost connection: within the next sweep.
  stream.alive.erase("e");
  stream.clock_ms += kSweepMs - 40'000;
  stream.settle();
  CHECK_FALSE(stream.was_seen("e", "del"));
  stream.clock_ms += 40'000;
  stream.settle();
  CHECK(stream.was_seen("e", "del"));
}

TEST_CASE("attributes are asked for some times; what is refused is not") {
  Stream stream;
  stream.core.connected(stream.now());
  stream.is_down = true;
  stream.message("add", "a");
  for (int i = 0; i < 10; ++i) {
    stream.settle();
    stream.clock_ms += 20'000;
  }
  CHECK(stream.asked == kResolveTriesMax);
  CHECK(stream.core.state(stream.now()).refused == 1);
  stream.is_down = false;
  stream.message("add", "jwt");
  const auto order = stream.core.next_resolve(stream.now());
  stream.core.resolved(order->id, refuse("introspection.unsupported-token", "a JWT"), stream.now());
  stream.clock_ms += 20'000;
  CHECK_FALSE(stream.core.next_resolve(stream.now()));
  CHECK(stream.seen.empty());  // least of all a delete
  CHECK(stream.core.state(stream.now()).refused == 2);
  stream.core.message(read_token_message("nonsense", IdForm::kToken), stream.now());
  CHECK(stream.core.state(stream.now()).refused == 3);
  CHECK(rule_of(stream.core.take_refusal().value()) == "message.not-json");
  CHECK_FALSE(stream.core.take_refusal());
}

TEST_CASE("what the book cannot hold is not added, as a lost delete would not be found") {
  Stream stream({.form = IdForm::kToken, .book_max = 3});
  stream.core.connected(stream.now());
  stream.alive = {"a", "b", "c", "d"};
  for (const std::string& token : stream.alive) stream.message("add", token);
  stream.settle();
  CHECK(stream.seen.size() == 3);
  CHECK(stream.core.book_size() == 3);
  CHECK(stream.core.state(stream.now()).refused == 1);
  CHECK(stream.core.take_refusal()->message.contains("book_max"));
  // What has expired makes room.
  stream.clock_ms += 3'601'000;
  stream.alive = {"e"};
  stream.message("add", "e");
  stream.settle();
  CHECK(stream.core.book_size() == 1);
}

TEST_CASE("a stream of hashes adds and deletes without questions, and stays late after a loss") {
  Stream stream({.form = IdForm::kSha256});
  stream.core_form = IdForm::kSha256;
  stream.core.connected(stream.now());
  stream.settle();
  CHECK(stream.state() == State::kOk);
  stream.message("add", "a");
  stream.message("del", "a");
  stream.settle();
  CHECK(stream.asked == 0);
  CHECK(stream.was_seen("a", "add"));
  CHECK(stream.was_seen("a", "del"));
  stream.core.disconnected({ErrorCode::kUnavailable, "gone", {}}, stream.now());
  stream.core.connected(stream.now());
  stream.clock_ms += 10 * kSweepMs;
  stream.settle();
  CHECK(stream.state() == State::kLate);
}

TEST_CASE("after a restart it is late until what cannot be asked about has ended") {
  const int64_t start_s = kWall / 1'000 + 1;
  Stream stream;
  stream.is_lane_down = true;
  stream.has("one", start_s + 1'000, start_s - 10);
  stream.has("two", start_s + 2'000, start_s - 10);
  stream.has("old", start_s - 1, start_s - 10);
  REQUIRE(stream.core.begin_connect(stream.now()));
  stream.core.connected(stream.now());
  stream.settle();
  CHECK(stream.state() == State::kLate);  // it does not know
  stream.is_lane_down = false;
  stream.settle();
  CHECK(stream.state() == State::kLate);
  const std::string why = stream.core.state(stream.now()).message;
  CHECK_MESSAGE(why.contains("2 tokens"), why);

  // What is sent again can be asked about, what was deleted is not there any more.
  stream.alive = {"one"};
  stream.message("add", "one");
  stream.settle();
  stream.living.erase(feed::token_id("two"));
  stream.clock_ms += kSweepMs;
  stream.settle();
  CHECK(stream.state() == State::kOk);

  Stream second;
  second.has("one", start_s + 1'000, start_s - 10);
  REQUIRE(second.core.begin_connect(second.now()));
  second.core.connected(second.now());
  second.settle();
  CHECK(second.state() == State::kLate);
  second.clock_ms += 1'000'000;
  second.core.heard(second.now());
  second.settle();
  CHECK(second.state() == State::kOk);
}

TEST_CASE("connects come later the more of them failed, and soon after a long connection") {
  Stream stream;
  CHECK(stream.core.begin_connect(stream.now()));
  CHECK_FALSE(stream.core.begin_connect(stream.now()));
  CHECK(stream.state() == State::kLate);
  TimeMs most_ms = 0;
  for (int i = 0; i < 12; ++i) {
    stream.core.disconnected({ErrorCode::kUnavailable, "refused", {}}, stream.now());
    const TimeMs wait_ms = stream.core.connect_due() - stream.now().boot_ms;
    CHECK(wait_ms >= kReconnectMs / 2);
    CHECK(wait_ms <= kReconnectMsMax);
    most_ms = std::max(most_ms, wait_ms);
    stream.clock_ms += wait_ms;
  }
  CHECK(most_ms >= kReconnectMsMax / 2);
  CHECK(stream.state() == State::kFailing);
  CHECK(stream.core.state(stream.now()).message == "refused");
  stream.core.connected(stream.now());
  stream.clock_ms += kReconnectMsMax;
  stream.core.disconnected({ErrorCode::kUnavailable, "gone", {}}, stream.now());
  CHECK(stream.core.connect_due() - stream.now().boot_ms <= kReconnectMs);
}

}  // namespace
}  // namespace notp::lane_inputs
