// The agent's activator between a real store and the folder PDP.
#include <doctest/doctest.h>

#include <boost/asio.hpp>
#include <deque>

#include "notp-client/agent/host/activator.hpp"
#include "notp-client/pdp/folder_pdp.hpp"
#include "tests/support/agent/compositions.hpp"
#include "tests/support/agent/engine.hpp"
#include "tests/support/agent/stored_models.hpp"
#include "tests/support/process/command.hpp"

namespace notp::agent {
namespace {

namespace asio = boost::asio;
namespace fs = std::filesystem;

using stored::kPayments;

const stored::Model kModel = {
    {"manifest.json", R"({"metadata":{"name":"payments"},
        "runtimes":{"rego":{"language":{"name":"rego","version":"1.0"}}},
        "partitions":{"/":{"runtime":"rego"}},"roots":["payments"]})"},
    {"payments/allow.rego", "package payments\n\nallow if input.amount < 10\n"}};

// The one release of kPayments in a store, and the PDP that its hook keeps from confirming it.
struct Node {
  TemporaryFolder folder;
  fs::path link = folder.path() / "model";
  std::unique_ptr<store::SqliteStore> store = stored::open(folder.path() / "store");
  asio::io_context context{1};
  asio::thread_pool pool{1};
  transport::OffloadPool store_worker{1};
  pdp::FolderPdp pdp{
      context.get_executor(), pool, test_checker(), {.link = link, .hook = {"/bin/false"}}};
  std::deque<std::optional<Error>> outcomes;
  Activator activator{context.get_executor(), pdp, *store, store_worker,
                      [this](const DesiredState&, const std::optional<Error>& rejected) {
                        outcomes.push_back(rejected);
                      }};

  Node() {
    REQUIRE(store->install(stored::install_of(kModel, 1)));
    activator.start();
  }
  ~Node() { pool.join(); }

  // Returns why the PDP did not take it.
  Error activate(const trust::FreshnessStatus& status) {
    const auto installed = stored::install_of(kModel, 1);
    effect::Activate effect{.desired = {}, .releases = {}, .as_of_ms = kTestNowMs};
    effect.desired[kPayments] = {1, installed.ref.release_hash, status};
    effect.releases[kPayments].stored.ref = installed.ref;
    effect.releases[kPayments].freshness_status = status;
    effect.releases[kPayments].data_roots = {"payments"};
    activator.activate(std::move(effect));
    const auto work = asio::make_work_guard(context);
    context.restart();
    while (outcomes.empty()) context.run_one();
    const std::optional<Error> rejected = outcomes.front();
    outcomes.pop_front();
    REQUIRE(rejected);
    return *rejected;
  }
};

}  // namespace

TEST_CASE("a release that expires is denied although the store has lost it since") {
  Node node;
  const fs::path policy = node.link / "100000000000/payments/payments/allow.rego";
  CHECK(node.activate(status_at_age(1)).code == ErrorCode::kPdpRejected);  // by the hook
  CHECK(fs::exists(policy));
  CHECK(node.activator.confirmed() == nullptr);
  REQUIRE(store::apply_change(*node.store, store::change::DropLedger{kPayments}));
  REQUIRE_FALSE(node.store->tree(kPayments, 1));
  CHECK(node.activate(status_at_age(3'601)).code == ErrorCode::kPdpRejected);
  CHECK(fs::exists(node.link));
  CHECK_FALSE(fs::exists(policy));
}

namespace {

// Takes every set.
class WillingPdp final : public pdp::Pdp {
 public:
  std::string_view kind() const override { return "willing"; }
  void start(pdp::PdpReport) override {}
  void activate(pdp::ActiveSetPtr wanted, model::BlobLoader) override { last = std::move(wanted); }
  pdp::DecisionBasisPtr basis() const override { return nullptr; }
  asio::awaitable<pdp::Decisions> evaluate(pdp::Question) override { co_return pdp::Decisions(); }

  pdp::ActiveSetPtr last;
};

// The set that a PDP is given for one release of kPayments with this manifest, or why it is not.
struct Given {
  Result<pdp::ActiveSetPtr> of(const Bytes& manifest, uint64_t version) {
    stored::Model model = kModel;
    model["manifest.json"] = manifest;
    const auto installed = stored::install_of(model, version);
    if (version > installed_version) REQUIRE(store->install(installed));
    installed_version = version;
    effect::Activate effect{.desired = {}, .releases = {}, .as_of_ms = kTestNowMs};
    effect.releases[kPayments].stored.ref = installed.ref;
    effect.releases[kPayments].data_roots = {"payments"};
    pdp.last.reset();
    rejected.reset();
    activator.activate(std::move(effect));
    const auto work = asio::make_work_guard(context);
    context.restart();
    while (!pdp.last && !rejected) context.run_one();
    if (rejected) return std::unexpected(*rejected);
    return pdp.last;
  }

  TemporaryFolder folder;
  uint64_t installed_version = 0;
  std::unique_ptr<store::SqliteStore> store = stored::open(folder.path() / "store");
  asio::io_context context{1};
  transport::OffloadPool store_worker{1};
  WillingPdp pdp;
  std::optional<Error> rejected;
  Activator activator{
      context.get_executor(), pdp, *store, store_worker,
      [this](const DesiredState&, const std::optional<Error>& why) { rejected = why; }};
};

}  // namespace

TEST_CASE("a release is given to every PDP with the terms of its manifest, read once") {
  Given given;
  const Bytes& plain = kModel.at("manifest.json");
  const auto plainly = given.of(plain, 1);
  REQUIRE(plainly);
  CHECK((*plainly)->ledgers.at(kPayments).terms == nullptr);

  const Bytes manifest = plain.substr(0, plain.rfind('}')) +
                         R"(,"decisions":{"strict":["payments/allow"],"mask":["/input/pin"]}})";
  const auto first = given.of(manifest, 2);
  REQUIRE_MESSAGE(first.has_value(), first.error().message);
  const auto terms = (*first)->ledgers.at(kPayments).terms;
  REQUIRE(terms);
  CHECK(terms->strict == std::vector<std::string>{"payments/allow"});
  CHECK(terms->mask.at(0).pointer == "/input/pin");
  // Another state of the same release has the same terms, also when the store has lost it.
  REQUIRE(store::apply_change(*given.store, store::change::DropLedger{kPayments}));
  const auto again = given.of(manifest, 2);
  REQUIRE(again);
  CHECK((*again)->ledgers.at(kPayments).terms == terms);
}

TEST_CASE("terms that this agent cannot read are not overlooked") {
  Given given;
  const auto composed = given.of(R"({"from": "the future"})", 1);
  REQUIRE_FALSE(composed);
  CHECK(composed.error().code == ErrorCode::kPdpRejected);
  CHECK(composed.error().message.starts_with("manifest.json is not one that this agent reads"));
}

}  // namespace notp::agent
