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

}  // namespace notp::agent
