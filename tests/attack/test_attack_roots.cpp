// The thief of a publisher's key of one ledger, with a registry that validates nothing: what the
// key signs reaches no policy and no document of another ledger. The engine is the real one.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <boost/asio.hpp>
#include <future>
#include <thread>

#include "notp-client/pdp/embedded_pdp.hpp"
#include "tests/attack/attacked_agent.hpp"
#include "tests/support/agent/ask_pdp.hpp"
#include "tests/support/agent/compositions.hpp"
#include "tests/support/agent/engine.hpp"
#include "tests/support/agent/report_queue.hpp"
#include "tests/support/registry/model_samples.hpp"

namespace notp::attack {
namespace {

namespace asio = boost::asio;
using Roots = std::vector<std::string>;
using samples::Texts;

constexpr uint8_t kStolenKey = 31;
const model::LedgerId kOurs{100'000'000'000, "a"};    // the key's own ledger
const model::LedgerId kTheirs{100'000'000'000, "b"};  // of other publishers

Texts with_manifest(Texts files, const Roots& roots) {
  files["manifest.json"] = manifest(roots);
  return files;
}

// Whom does ledger b let in? ada.
const Texts kTheirFiles =
    with_manifest({{"b/allow.rego", "package b\n\nallow if data.b.users[input.user]\n"},
                   {"b/users/data.json", R"({"ada":true})"}},
                  {"b"});
const Texts kOurFiles = {{"a/allow.rego", "package a\n\nallow if data.a.users[input.user]\n"},
                         {"a/data.json", R"({"users":{"bob":true}})"}};

// A domain whose root lets the key publish ledger a, with these data roots.
struct Setting {
  Setting() : root(domain.next_root()) {
    root.delegations.insert(root.delegations.begin(), {"100000000000/a",
                                                       {key(kStolenKey).public_key()},
                                                       1,
                                                       trust::ContentRule::kAny,
                                                       {"a", "c", "tests/*"}});
    theirs = seal(release_of(kTheirs, 1, {}, samples::model_of(kTheirFiles), kStartMs + 1),
                  samples::model_of(kTheirFiles), {keys::kPublisher1, keys::kPublisher2});
    honest = ours(1, {}, kOurFiles);
  }
  SignedRelease ours(uint64_t version, const Hash& previous, const Texts& files,
                     const Roots& owned = {"a"}) const {
    model::ModelContent content =
        samples::model_of(with_manifest(files, owned.empty() ? Roots{"a"} : owned));
    trust::Release release =
        release_of(kOurs, version, previous, content, kStartMs + static_cast<TimeMs>(version));
    release.data_roots = owned;
    return seal(std::move(release), std::move(content), {kStolenKey});
  }
  SignedRelease evil(const Texts& more, const Roots& owned = {"a"}) const {
    Texts files = kOurFiles;
    for (const auto& [path, text] : more) files[path] = text;
    return ours(2, honest.hash, files, owned);
  }

  const Domain domain;
  trust::Root root;
  SignedRelease theirs, honest;
};

// The embedded PDP of a node.
class Engine {
 public:
  ~Engine() {
    on_agent([&] { pdp_.reset(); });
    work_.reset();
    context_.stop();
    thread_.join();
    pool_.join();
  }

  // Whether ledger b lets a user in, when the node decides with these releases of a and b.
  std::string lets_in(std::string_view user, const SignedRelease& ours,
                      const SignedRelease& theirs) {
    const TestComposition set = compose({ledger_of(ours), ledger_of(theirs)});
    ReportQueue reports;
    on_agent([&] {
      pdp_ = std::make_unique<pdp::EmbeddedPdp>(
          context_.get_executor(), context_.get_executor(), pool_,
          pdp::EmbeddedOptions{.engine = {.worker = test_worker()}});
      pdp_->start(reports.sink());
      pdp_->activate(set.active_set, set.load);
    });
    const auto outcome = reports.next();
    REQUIRE(outcome);
    if (outcome->rejected) return "rejected: " + outcome->rejected->message;
    const auto answer = ask(*pdp_, "b/allow", fmt::format(R"({{"user":"{}"}})", user));
    on_agent([&] { pdp_.reset(); });
    REQUIRE_MESSAGE(answer, answer.error().message);
    return answer->value_or("undefined");
  }

 private:
  static TestLedger ledger_of(const SignedRelease& release) {
    TestLedger out{
        release.release.ledger.name, release.release.version, release.release.data_roots, {}};
    for (const auto& [path, entry] : release.content.tree->files())
      out.files[path] = *release.content.loader()(entry.hash).value();
    return out;
  }
  void on_agent(const std::function<void()>& action) {
    asio::post(context_, asio::use_future(action)).get();
  }

  asio::io_context context_{1};
  asio::executor_work_guard<asio::io_context::executor_type> work_{context_.get_executor()};
  asio::thread_pool pool_{2};
  std::thread thread_{[this] { context_.run(); }};
  std::unique_ptr<pdp::EmbeddedPdp> pdp_;
};

void install_both(const Setting& setting, AttackedAgent& agent) {
  agent.connect();
  agent.send_root(sealed(setting.root, {keys::kRoot1, keys::kRoot3}));
  agent.send_release(setting.theirs);
  agent.send_release(setting.honest);
  REQUIRE(agent.take_codes().empty());
  REQUIRE(agent.decides_with(kOurs, setting.honest));
  REQUIRE(agent.decides_with(kTheirs, setting.theirs));
}

struct Attack {
  std::string_view name;
  Texts files;
  Roots owned = {"a"};
};

const std::string kRule = "\n\nallow := true\n";

// Each of them lets mallory into b when a node decides with it.
const std::vector<Attack> kHarmful = {
    {"a module of the other package", {{"a/x.rego", "package b" + kRule}}},
    {"in the folder of the other ledger", {{"b/x.rego", "package b" + kRule}}},
    {"behind a comment that names its own",
     {{"a/x.rego", "# package a\rpackage a\npackage b" + kRule}}},
    {"behind a mark and in brackets", {{"a/x.rego", "\xEF\xBB\xBFpackage # a\n\n b" + kRule}}},
    {"a rule in the place of a member",
     {{"a/x.rego", "package b[ \"users\" ]\n\nmallory := true\n"}}},
    {"a document", {{"b/users/mallory/data.json", "true"}}},
    {"a document in YAML", {{"b/users/mallory/data.yaml", "true"}}},
    {"a member of a document at the top",
     {{"data.json", R"({"a":{"more":1},"b":{"users":{"mallory":true}}})"}}},
    {"a member with an escape in its name, beside its own twice",
     {{"data.json", R"({"a":{"x":1},"a":{"x":1},"\u0062":{"users":{"mallory":true}}})"}}},
    {"no data root at all", {{"a/x.rego", "package b" + kRule}}, {}},
    {"a module that Rego v0 has, too",
     {{"a/x.rego", "package b\n\nimport future.keywords.if\n\nallow if true\n"}}},
};

// A node must not take these, whether or not an engine would.
const std::vector<Attack> kRefused = {
    {"a name that goes on in Unicode", {{"a/x.rego", "package a\xD9\xA3" + kRule}}},
    {"a name that only begins alike", {{"a/x.rego", "package ab" + kRule}}},
    {"no package", {{"a/x.rego", "allow := true\n"}}},
    {"an empty module", {{"a/x.rego", ""}}},
    {"a package with a variable", {{"a/x.rego", "package a[b]" + kRule}}},
    {"a document that is no JSON", {{"data.json", "{"}}},
    {"a document with text behind it", {{"data.json", R"({"a":{}} {"b":{}})"}}},
    {"a document with half a character", {{"data.json", R"({"\ud83d":{}})"}}},
    {"a value in place of the top", {{"data.json", "[]"}}},
    {"a document of the agent", {{"system/notp/data.json", "{}"}}},
    {"the data roots of another ledger", {{"b/x.rego", "package b" + kRule}}, {"a", "b"}},
    {"the root of everything", {{"a/x.rego", "package b" + kRule}}, {""}},
};

void run_attack(const Setting& setting, const Attack& attack, bool as_delta) {
  CAPTURE(attack.name);
  CAPTURE(as_delta);
  AttackedAgent agent(setting.domain, {kOurs, kTheirs});
  install_both(setting, agent);
  const NodeState before = agent.state();
  const SignedRelease evil = setting.evil(attack.files, attack.owned);
  const auto send = [&](const SignedRelease& release) {
    if (as_delta)
      agent.send_release_on(setting.honest, release);
    else
      agent.send_release(release);
  };
  send(evil);
  CHECK(agent.take_codes().contains(ErrorCode::kWrongTarget));
  CHECK(agent.state() == before);
  agent.disconnect();
  agent.restart();
  CHECK(agent.state() == before);
  CHECK(agent.decides_with(kOurs, setting.honest));

  // The control: an honest release is taken, by the same way.
  agent.connect();
  agent.take_codes();
  const SignedRelease good =
      setting.evil({{"a/more.rego", "package a[\"more\"]\n\nx := 1\n"},
                    {"a/x_test.rego", "package b_test\n\ntest_x if true\n"},
                    {"tests/data.json", R"({"b":{"users":{"mallory":true}}})"},
                    {"data.json", R"({"a":{"top":1}})"}});
  send(good);
  CHECK(agent.take_codes().empty());
  CHECK(agent.decides_with(kOurs, good));
}

}  // namespace

TEST_CASE("what the release of one ledger could do to the decisions of another, if it was taken") {
  const Setting setting;
  Engine engine;
  CHECK(engine.lets_in("ada", setting.honest, setting.theirs) == "true");
  CHECK(engine.lets_in("mallory", setting.honest, setting.theirs) == "undefined");
  for (const Attack& attack : kHarmful) {
    CAPTURE(attack.name);
    CHECK(engine.lets_in("mallory", setting.evil(attack.files, attack.owned), setting.theirs) ==
          "true");
  }
}

TEST_CASE("a node takes no release whose content is outside of its signed data roots") {
  const Setting setting;
  size_t attacks = 0;
  for (const auto* list : {&kHarmful, &kRefused})
    for (const Attack& attack : *list)
      for (const bool as_delta : {false, true}) {
        run_attack(setting, attack, as_delta);
        ++attacks;
      }
  MESSAGE(attacks, " releases outside of their data roots, 0 taken; ", attacks,
          " honest ones taken after them");
}

TEST_CASE("content that a node has is checked again when the data roots become others") {
  const Setting setting;
  struct Step {
    std::string_view name;
    Texts files;
    Roots first, then;
  };
  const std::vector<Step> steps = {
      {"the root is gone", {{"a/c.rego", "package c" + kRule}}, {"a", "c"}, {"a"}},
      {"the document's root is gone", {{"c/data.json", "{}"}}, {"a", "c"}, {"a"}},
      {"data of tests becomes data",
       {{"tests/data.json", R"({"b":{"users":{"mallory":true}}})"}},
       {"a"},
       {"a", "tests/x"}},
  };
  for (const Step& step : steps) {
    CAPTURE(step.name);
    AttackedAgent agent(setting.domain, {kOurs, kTheirs});
    install_both(setting, agent);
    const SignedRelease before = setting.evil(step.files, step.first);
    agent.send_release_on(setting.honest, before);
    REQUIRE(agent.take_codes().empty());
    REQUIRE(agent.decides_with(kOurs, before));
    Texts files = kOurFiles;
    for (const auto& [path, text] : step.files) files[path] = text;
    agent.send_release_on(before, setting.ours(3, before.hash, files, step.then));
    CHECK(agent.take_codes().contains(ErrorCode::kWrongTarget));
    CHECK(agent.decides_with(kOurs, before));
  }
}

}  // namespace notp::attack
