// The only path to a decision, with a PDP that allows everything.
#include <doctest/doctest.h>

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/use_future.hpp>
#include <regex>

#include "notp-client/decision/decision_service.hpp"
#include "tests/support/agent/compositions.hpp"
#include "tests/support/agent/recording_log.hpp"

namespace notp {
namespace {

namespace asio = boost::asio;

class YesPdp final : public pdp::Pdp {
 public:
  std::string_view kind() const override { return "yes"; }
  void start(pdp::PdpReport) override {}
  void activate(pdp::ActiveSetPtr wanted, model::BlobLoader) override {
    basis_.want(std::move(wanted));
  }
  void confirm(pdp::ActiveSetPtr active) { basis_.confirm(std::move(active)); }
  pdp::DecisionBasisPtr basis() const override { return basis_.get(); }
  asio::awaitable<pdp::Decisions> evaluate(pdp::Question question) override {
    asked += question.inputs.size();
    last = question;
    std::vector<Result<pdp::Decision>> out;
    for (const pdp::InputText& input : question.inputs) {
      if (input == "bad")
        out.push_back(fail(ErrorCode::kInvalidModel, "it failed"));
      else if (input == "nothing")
        out.push_back(pdp::Decision{.active = basis()->active});
      else
        out.push_back(pdp::Decision{.value = Bytes("true"), .active = basis()->active});
    }
    co_return out;
  }

  size_t asked = 0;
  pdp::Question last;

 private:
  pdp::CurrentBasis basis_;
};

struct Caller {
  decision::DecisionOutcome decide(std::string_view path, std::vector<pdp::InputText> inputs) {
    asio::io_context context;
    auto outcome = asio::co_spawn(
        context,
        service.decide({decision::DecisionApi::kData,
                        {.path = pdp::path_segments(path), .inputs = std::move(inputs)}}),
        asio::use_future);
    context.run();
    return outcome.get();
  }
  double counted(const std::string& outcome) {
    for (const auto& family : metrics.Collect())
      for (const auto& metric : family.metric)
        if (!metric.label.empty() && metric.label[0].value == outcome) return metric.counter.value;
    return -1;
  }

  YesPdp pdp;
  prometheus::Registry metrics;
  decision::DecisionService service{pdp, metrics};
};

TestComposition shop() {
  return compose({{"shop", 1, {"shop/desk"}, {{"shop/desk/data.json", "{}"}}},
                  {"bank", 1, {"bank"}, {{"bank/data.json", "{}"}}}});
}

}  // namespace

TEST_CASE("a denied ledger's roots are withheld until the PDP has confirmed the denial") {
  Caller caller;
  const auto served = shop().active_set;
  const auto denied = with_status(shop(), "shop", status_at_age(3'601)).active_set;
  caller.pdp.activate(served, {});
  CHECK(caller.pdp.basis()->active == nullptr);
  caller.pdp.confirm(served);
  CHECK(caller.decide("shop/desk/open", {"{}"}).only()->value == "true");

  caller.pdp.activate(denied, {});
  caller.pdp.asked = 0;
  for (const char* path : {"shop/desk", "shop/desk/open/now", "shop", ""}) {
    CAPTURE(path);
    const auto decision = caller.decide(path, {"{}"}).only();
    REQUIRE(decision);
    CHECK_FALSE(decision->value);
    CHECK(decision->has_input);
    CHECK(decision->active == served);
  }
  CHECK(caller.pdp.asked == 0);
  CHECK(caller.decide("shop/desks", {"{}"}).only()->value == "true");
  CHECK(caller.decide("bank/allow", {"{}"}).only()->value == "true");

  // It may answer with what it has confirmed.
  caller.pdp.confirm(denied);
  CHECK(caller.decide("shop/desk/open", {"{}"}).only()->active == denied);
}

TEST_CASE("before a PDP has confirmed anything, what is denied is withheld as well") {
  Caller caller;
  caller.pdp.activate(with_status(shop(), "shop", status_at_age(3'601)).active_set, {});
  const auto decision = caller.decide("shop/desk", {pdp::InputText()}).only();
  CHECK_FALSE(decision->value);
  CHECK_FALSE(decision->has_input);
  CHECK(decision->active == nullptr);
  CHECK(caller.pdp.asked == 0);
}

TEST_CASE("each input has a decision, and each is counted by its outcome") {
  Caller caller;
  const auto outcome = caller.decide("a", {"{}", "nothing", "bad", "{}"});
  REQUIRE(outcome.decisions);
  REQUIRE(outcome.decisions->size() == 4);
  CHECK(outcome.decisions->at(2).error().code == ErrorCode::kInvalidModel);
  CHECK(caller.counted("defined") == 2);
  CHECK(caller.counted("undefined") == 1);
  CHECK(caller.counted("error") == 1);
  CHECK(caller.decide("a", {}).decisions->empty());
}

TEST_CASE("an input over the limit reaches no PDP") {
  Caller caller;
  caller.service.set_rules({.default_path = {"a", "b"}, .authzen_path = {}, .input_bytes_max = 4});
  CHECK(caller.service.rules()->default_path == std::vector<std::string>{"a", "b"});
  CHECK(caller.decide("a", {"1234", "12345"}).decisions.error().code == ErrorCode::kLimit);
  CHECK(caller.pdp.asked == 0);
  CHECK(caller.counted("error") == 2);
  CHECK(caller.decide("a", {"1234"}).only());
}

TEST_CASE("requests have ids of their own") {
  Caller caller;
  const std::regex uuid("[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}");
  const auto one = caller.decide("a", {"{}"}).id, other = caller.decide("a", {"{}"}).id;
  CHECK(std::regex_match(one, uuid));
  CHECK(std::regex_match(other, uuid));
  CHECK(one != other);
}

namespace {

// A service that records, whose caller waits for the log.
struct RecordedCaller {
  // Begins a request; it has ended when `outcome` is set.
  void ask(std::string_view path, std::vector<pdp::InputText> inputs) {
    asio::co_spawn(
        context,
        service.decide(
            {.question = {.path = pdp::path_segments(path), .inputs = std::move(inputs)}}),
        asio::bind_cancellation_slot(cancel.slot(), [this](const std::exception_ptr& thrown,
                                                           decision::DecisionOutcome decided) {
          CHECK_FALSE(thrown);
          outcome = std::move(decided);
        }));
    run();
  }
  void run() {
    context.restart();
    context.poll();
  }

  asio::io_context context;
  asio::cancellation_signal cancel;
  YesPdp pdp;
  prometheus::Registry metrics;
  RecordingLog log;
  decision::DecisionRecorder recorder{
      log, {.durability = spool::Durability::kStrict, .engine = "embedded"}, metrics};
  decision::DecisionService service{pdp, metrics, false, &recorder};
  std::optional<decision::DecisionOutcome> outcome;
};

}  // namespace

TEST_CASE("a strict decision is given once its record is on disk") {
  RecordedCaller caller;
  caller.pdp.confirm(shop().active_set);
  caller.ask("bank/allow", {"{}", "[]"});
  CHECK_FALSE(caller.outcome);
  CHECK((caller.pdp.last.flags & rego::kRecordNonDeterministic) != 0);
  REQUIRE(caller.log.waiting.size() == 1);
  CHECK(caller.log.waiting[0].first == 1);
  caller.log.finish({});
  caller.run();
  REQUIRE(caller.outcome);
  CHECK(caller.outcome->id == "id-0");
  CHECK(caller.outcome->decisions->at(1)->value == "true");
  CHECK(caller.log.entries.size() == 2);
  // The log may answer at once.
  caller.log.is_durable = true;
  caller.outcome.reset();
  caller.ask("bank/allow", {"{}"});
  REQUIRE(caller.outcome);
  CHECK(caller.outcome->id == "id-2");
}

TEST_CASE("a decision whose record is not on disk, or not taken, is not given") {
  RecordedCaller caller;
  caller.pdp.confirm(shop().active_set);
  caller.ask("bank/allow", {"{}"});
  caller.log.finish(fail(ErrorCode::kAuditUnavailable, "the disk fails"));
  caller.run();
  REQUIRE(caller.outcome);
  CHECK(caller.outcome->decisions.error().code == ErrorCode::kAuditUnavailable);
  caller.outcome.reset();
  caller.log.refusal = Error{ErrorCode::kAuditUnavailable, "full", {}};
  caller.ask("bank/allow", {"{}", "{}"});
  REQUIRE(caller.outcome);
  CHECK(caller.outcome->decisions.error().message == "full");
}

TEST_CASE("a caller that goes away does not wait; the record stays, and the log may answer later") {
  RecordedCaller caller;
  caller.pdp.confirm(shop().active_set);
  caller.ask("bank/allow", {"{}"});
  CHECK_FALSE(caller.outcome);
  caller.cancel.emit(asio::cancellation_type::terminal);
  caller.run();
  REQUIRE(caller.outcome);
  CHECK(caller.outcome->decisions.error().code == ErrorCode::kCancelled);
  CHECK(caller.log.entries.size() == 1);
  caller.log.finish({});
  caller.run();
  CHECK(caller.outcome->decisions.error().code == ErrorCode::kCancelled);
}

TEST_CASE("undefined decisions of withheld roots and inputs over the limit are recorded, too") {
  RecordedCaller caller;
  caller.log.is_durable = true;
  const auto denied = with_status(shop(), "shop", status_at_age(3'601)).active_set;
  caller.pdp.confirm(shop().active_set);
  caller.pdp.activate(denied, {});
  caller.ask("shop/desk", {"{}"});
  CHECK(caller.pdp.asked == 0);
  CHECK(caller.log.last().outcome == record::Outcome::kUndefined);
  CHECK(caller.outcome->id == "id-0");
  caller.service.set_rules({.default_path = {}, .authzen_path = {}, .input_bytes_max = 4});
  caller.ask("bank", {"12345"});
  CHECK(caller.log.last().outcome == record::Outcome::kError);
  CHECK(caller.log.last().error->code == "limit");
  CHECK(caller.log.last().input == "12345");
}

TEST_CASE(
    "before a decision the tokens of its inputs are asked for, each once, and only if a PDP "
    "decides") {
  Caller caller;
  caller.pdp.confirm(shop().active_set);
  std::vector<std::vector<feed::TokenId>> asked;
  caller.service.set_token_ask(
      {{"/token", "/context/bearer"},
       [&](std::vector<feed::TokenId> ids, const std::string& /*caller*/) -> asio::awaitable<void> {
         CHECK(caller.pdp.asked == 0);
         asked.push_back(std::move(ids));
         co_return;
       }});
  using Ids = std::vector<feed::TokenId>;
  const auto id = [](std::string_view token) { return feed::token_id(token); };
  const auto ask = [&](std::vector<pdp::InputText> inputs) {
    asked.clear();
    caller.pdp.asked = 0;
    caller.decide("shop/desk", std::move(inputs));
    return asked.empty() ? Ids() : asked.front();
  };
  CHECK(ask({Bytes(R"({"token":"one","context":{"bearer":"two"}})"), Bytes(R"({"token":"one"})"),
             std::nullopt}) == Ids{id("one"), id("two")});
  CHECK(ask({Bytes(R"({"token":"first","t\u006fken":"l\u0061st"})")}) == Ids{id("last")});
  CHECK(ask({Bytes(R"({"token":7,"context":[]})")}).empty());
  CHECK(ask({Bytes("not JSON")}).empty());
  CHECK(ask({}).empty());
  caller.service.set_rules({.input_bytes_max = 4});
  CHECK(ask({Bytes(R"({"token":"one"})")}).empty());
}

}  // namespace notp
