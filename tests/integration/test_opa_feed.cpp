// Feeding OPA: the state machine with scripted requests and statuses.
#include <doctest/doctest.h>

#include "notp-client/pdp/authz_module.hpp"
#include "notp-client/pdp/mask_module.hpp"
#include "notp-client/pdp/opa_feed.hpp"
#include "tests/support/agent/engine.hpp"
#include "tests/support/agent/opa_models.hpp"

namespace notp {
namespace {

pdp::OpaBundlePtr bundle_of(uint64_t version) {
  const auto release = compose({payments(version, rule(version))});
  auto bundle = pdp::build_opa_bundle(release.active_set, release.load, test_checker());
  REQUIRE(bundle);
  return *bundle;
}

struct StatusFields {
  std::string active;        // revision
  std::string error;         // message of an activation that failed
  std::string last_request;  // distinguishes attempts
  std::string http_code = "";
  std::string label = "process-1";
};

json::value status_of(const StatusFields& fields) {
  json::object bundle{{"name", "notp"}, {"last_request", fields.last_request}};
  if (!fields.active.empty()) bundle["active_revision"] = fields.active;
  if (!fields.error.empty()) {
    bundle["code"] = "bundle_error";
    bundle["message"] = fields.error;
    if (!fields.http_code.empty()) bundle["http_code"] = fields.http_code;
  }
  return json::object{{"labels", {{"id", fields.label}}}, {"bundles", {{"notp", bundle}}}};
}

}  // namespace

TEST_CASE("a bundle is the same bytes for the same releases, and another for another") {
  CHECK(bundle_of(1)->etag == bundle_of(1)->etag);
  CHECK(*bundle_of(1)->body == *bundle_of(1)->body);
  CHECK(bundle_of(1)->etag != bundle_of(2)->etag);
  CHECK(bundle_of(1)->revision == "100000000000/payments@1");
}

TEST_CASE("what a lane adds to a bundle: who may ask OPA what, and a log without tokens") {
  const auto release = compose({payments(1, rule(1))});
  const auto layout_with = [&](const pdp::BundleLane& lane) {
    auto layout = pdp::bundle_layout(*release.active_set, release.load, test_checker(),
                                     pdp::LayoutUse::kOpa, lane);
    REQUIRE(layout);
    return *layout;
  };
  const auto mask_of = [](const pdp::BundleLayout& layout) {
    return layout.at(std::string(pdp::kMaskModulePath)).made;
  };
  const auto with = layout_with({.authz = "package system.authz", .token_inputs = {"/bearer/raw"}});
  const auto none = layout_with({});
  CHECK(with.contains(std::string(pdp::kAuthzModulePath)));
  CHECK_FALSE(none.contains(std::string(pdp::kAuthzModulePath)));
  CHECK(mask_of(with).contains("bearer"));
  CHECK_FALSE(mask_of(none).contains("bearer"));
}

TEST_CASE("a bundle is active when the status says so, not when it was fetched") {
  pdp::OpaFeed feed;
  const auto one = bundle_of(1);
  CHECK_FALSE(feed.on_request("opa", "").bundle);
  CHECK_FALSE(feed.offer(one));
  CHECK(feed.on_request("opa", "").bundle == one);
  CHECK(
      feed.on_status("opa", status_of({.active = "", .error = "", .last_request = "t0"})).empty());
  const auto held = feed.on_request("opa", one->etag);
  CHECK_FALSE(held.bundle);
  const auto outcomes = feed.on_status(
      "opa", status_of({.active = one->revision, .error = "", .last_request = "t1"}));
  REQUIRE(outcomes.size() == 1);
  CHECK(outcomes[0].active_set == one->active_set);
  CHECK_FALSE(outcomes[0].rejected);
  CHECK(
      feed.on_status("opa", status_of({.active = one->revision, .error = "", .last_request = "t2"}))
          .empty());
  CHECK_FALSE(feed.on_request("opa", one->etag).at_once);
  // The same offer again succeeds: it is known.
  CHECK(feed.offer(one).has_value());
}

TEST_CASE("an OPA that has the bundle already is made to say so at once") {
  pdp::OpaFeed feed;
  const auto one = bundle_of(1);
  feed.offer(one);
  CHECK(feed.on_request("opa", one->etag).at_once);
  CHECK_FALSE(feed.on_request("opa", one->etag).at_once);  // but not in a circle
  CHECK(
      feed.on_status("opa", status_of({.active = one->revision, .error = "", .last_request = "t"}))
          .size() == 1);
}

TEST_CASE("only the first tag of a request is what OPA has") {
  pdp::OpaFeed feed;
  const auto one = bundle_of(1), two = bundle_of(2);
  feed.offer(one);
  CHECK(feed.on_request("opa", fmt::format("{}, {}", two->etag, one->etag)).bundle == one);
  CHECK_FALSE(feed.on_request("opa", fmt::format("{}, {}", one->etag, two->etag)).bundle);
}

TEST_CASE("two failures of one refused bundle are not held against the next one") {
  pdp::OpaFeed feed;
  const auto bad = bundle_of(2), next = bundle_of(3);
  feed.offer(bad);
  CHECK(feed.on_request("opa", "").bundle == bad);
  // OPA asks again at once, before it reports the status of the first attempt.
  CHECK(feed.on_request("opa", "").bundle == bad);
  const auto failed = [&](const char* request) {
    return feed.on_status("opa",
                          status_of({.active = "", .error = "rego", .last_request = request}));
  };
  REQUIRE(failed("t1").size() == 1);
  feed.offer(next);
  CHECK(feed.on_request("opa", "").bundle == next);
  CHECK(failed("t2").empty());
  CHECK(feed.on_request("opa", "").bundle == next);
}

TEST_CASE("a refused bundle is quarantined and the last good one offered") {
  pdp::OpaFeed feed;
  const auto good = bundle_of(1), bad = bundle_of(2), next = bundle_of(3);
  feed.offer(good);
  feed.on_request("opa", "");
  feed.on_status("opa", status_of({.active = good->revision, .error = "", .last_request = "t1"}));
  feed.offer(bad);
  CHECK(feed.on_request("opa", good->etag).bundle == bad);
  const auto outcomes = feed.on_status(
      "opa",
      status_of({.active = good->revision, .error = "undefined function", .last_request = "t2"}));
  REQUIRE(outcomes.size() == 1);
  CHECK(outcomes[0].active_set == bad->active_set);
  CHECK(outcomes[0].rejected->code == ErrorCode::kPdpRejected);
  CHECK(outcomes[0].rejected->message == "undefined function");
  CHECK_FALSE(feed.on_request("opa", good->etag).bundle);
  CHECK(feed.on_request("opa", "").bundle == good);  // a restarted OPA
  CHECK(feed.offer(bad)->rejected->message == "undefined function");
  CHECK_FALSE(feed.on_request("opa", good->etag).bundle);
  CHECK_FALSE(feed.offer(good)->rejected);
  feed.offer(next);
  CHECK(feed.on_request("opa", good->etag).bundle == next);
}

TEST_CASE("without a good bundle a refused one is followed by nothing") {
  pdp::OpaFeed feed;
  const auto bad = bundle_of(1);
  feed.offer(bad);
  feed.on_request("opa", "");
  CHECK(feed.on_status("opa", status_of({.active = "", .error = "no", .last_request = "t1"}))
            .size() == 1);
  CHECK_FALSE(feed.on_request("opa", "").bundle);
}

TEST_CASE("an error is blamed on the bundle it belongs to") {
  pdp::OpaFeed feed;
  const auto good = bundle_of(1), bad = bundle_of(2), better = bundle_of(3);
  feed.offer(good);
  feed.on_request("opa", "");
  feed.on_status("opa", status_of({.active = good->revision, .error = "", .last_request = "t1"}));
  feed.offer(bad);
  feed.on_request("opa", good->etag);
  feed.offer(better);
  SUBCASE("the status comes after the next bundle was fetched") {
    CHECK(feed.on_request("opa", good->etag).bundle == better);
    const auto outcomes = feed.on_status(
        "opa", status_of({.active = good->revision, .error = "no", .last_request = "t2"}));
    REQUIRE(outcomes.size() == 1);
    CHECK(outcomes[0].active_set == bad->active_set);
    SUBCASE("and is repeated, for another reason") {
      CHECK(
          feed.on_status("opa",
                         status_of({.active = good->revision, .error = "no", .last_request = "t2"}))
              .empty());
    }
  }
  SUBCASE("the status comes when the next bundle is active already") {
    CHECK(feed.on_request("opa", good->etag).bundle == better);
    CHECK_FALSE(feed.on_request("opa", better->etag).bundle);
    CHECK(feed.on_status("opa",
                         status_of({.active = good->revision, .error = "no", .last_request = "t2"}))
              .empty());
  }
  const auto last = feed.on_status(
      "opa", status_of({.active = better->revision, .error = "", .last_request = "t3"}));
  REQUIRE(last.size() == 1);
  CHECK(last[0].active_set == better->active_set);
  CHECK_FALSE(last[0].rejected);
}

namespace {

pdp::OpaBundlePtr bundle_at_age(int64_t age_s) {
  const auto release =
      with_status(compose({payments(1, rule(1))}), "payments", status_at_age(age_s));
  auto bundle = pdp::build_opa_bundle(release.active_set, release.load, test_checker());
  REQUIRE(bundle);
  return *bundle;
}

}  // namespace

TEST_CASE("newer times of one revision are confirmed by the request that names them") {
  pdp::OpaFeed feed;
  const auto before = bundle_at_age(100);
  const auto after = bundle_at_age(1);
  REQUIRE(before->revision == after->revision);
  REQUIRE(before->etag != after->etag);
  feed.offer(before);
  feed.on_request("opa", "");
  REQUIRE(feed.on_status("opa",
                         status_of({.active = before->revision, .error = "", .last_request = "t1"}))
              .size() == 1);
  feed.on_request("opa", before->etag);
  REQUIRE_FALSE(feed.offer(after));
  CHECK(feed.on_request("opa", before->etag).bundle == after);
  // It may not have activated the new one yet.
  CHECK(feed.on_status("opa",
                       status_of({.active = before->revision, .error = "", .last_request = "t2"}))
            .empty());
  CHECK(feed.on_request("opa", after->etag).at_once);  // to get its status
  const auto outcomes = feed.on_status(
      "opa", status_of({.active = after->revision, .error = "", .last_request = "t3"}));
  REQUIRE(outcomes.size() == 1);
  CHECK(outcomes[0].active_set == after->active_set);
}

TEST_CASE("after a refusal nobody is given decisions that are denied now") {
  pdp::OpaFeed feed;
  const auto good = bundle_at_age(1);
  const auto denied = bundle_at_age(3'601);
  CHECK(denied->revision.ends_with("@1;expired"));
  feed.offer(good);
  feed.on_request("opa", "");
  feed.on_status("opa", status_of({.active = good->revision, .error = "", .last_request = "t1"}));
  feed.on_request("opa", good->etag);
  feed.offer(denied);
  CHECK(feed.on_request("opa", good->etag).bundle == denied);
  const auto refused = feed.on_status(
      "opa", status_of({.active = good->revision, .error = "no", .last_request = "t2"}));
  REQUIRE(refused.size() == 1);
  CHECK(refused[0].rejected);
  CHECK_FALSE(feed.on_request("another", "").bundle);
  const auto again = feed.offer(good);  // attested again, and still active
  REQUIRE(again);
  CHECK_FALSE(again->rejected);
  CHECK(feed.on_request("another", "").bundle == good);
}

TEST_CASE("a failed download says nothing about the bundle") {
  pdp::OpaFeed feed;
  const auto one = bundle_of(1);
  feed.offer(one);
  feed.on_request("opa", "");
  CHECK(feed.on_status("opa", status_of({.active = "",
                                         .error = "request failed: connection refused",
                                         .last_request = "t1"}))
            .empty());
  CHECK(feed.on_status("opa", status_of({.active = "",
                                         .error = "server replied with Bad Gateway",
                                         .last_request = "t2",
                                         .http_code = "502"}))
            .empty());
  CHECK(feed.on_request("opa", "").bundle == one);
}

TEST_CASE("statuses that are none change nothing") {
  pdp::OpaFeed feed;
  feed.offer(bundle_of(1));
  feed.on_request("opa", "");
  for (const char* text :
       {"null", "[]", "{}", R"({"bundles": 1})", R"({"bundles": {"other": {}}})",
        R"({"labels": [], "bundles": {"notp": {"code": 7, "errors": {"a": 1}}}})",
        R"({"bundles": {"notp": {"active_revision": "somebody/else@7"}}})"})
    CHECK(feed.on_status("opa", json::parse(text)).empty());
}

TEST_CASE("compile errors are told with their places") {
  const auto status = json::parse(R"({"message": "errors", "errors": [
    {"code": "rego_type_error", "message": "undefined function f", "location": {"file": "a.rego", "row": 3, "col": 7}},
    {"code": "rego_parse_error", "message": "unexpected"}, 5]})");
  CHECK(pdp::opa_errors_text(status.as_object()) ==
        "a.rego:3:7: rego_type_error: undefined function f\nrego_parse_error: unexpected");
}

}  // namespace notp
