// Unmodified OAuth clients, openid-client and Authlib, at the token endpoint: they take token_type
// N_A, send the parameters of a transaction token, and see a refusal as what it is.
#include <doctest/doctest.h>

#include "tests/support/process/command.hpp"
#include "tests/support/process/delegation_site.hpp"

namespace notp {
namespace {

json::object parameters(const DelegationSite& site, const std::string& scope) {
  return {{"requested_token_type", "urn:ietf:params:oauth:token-type:txn_token"},
          {"audience", kStackDomain},
          {"scope", scope},
          {"subject_token", site.login()},
          {"subject_token_type", "urn:ietf:params:oauth:token-type:access_token"},
          {"request_context", R"({"channel":"web"})"},
          {"request_details", R"({"actor":"clerk","order":"o-1","amount":120})"}};
}

// What the client has printed.
json::value run(const DelegationSite& site, std::vector<std::string> command,
                const std::string& scope) {
  const std::string file = site.stack.file("client.json");
  must(write_file(file, json::serialize(json::object{{"issuer", site.issuer()},
                                                     {"endpoint", site.issuer() + "/token"},
                                                     {"client_id", site.shop->identity()},
                                                     {"certificate", site.shop->stem() + ".crt"},
                                                     {"key", site.shop->stem() + ".key"},
                                                     {"ca", site.stack.authority_file().string()},
                                                     {"parameters", parameters(site, scope)}})));
  command.push_back(file);
  const CommandResult result = run_command(command);
  REQUIRE_MESSAGE(result.status == 0, result.output);
  return must(parse_json(result.output));
}

TEST_CASE("openid-client and Authlib get transaction tokens") {
  DelegationSite site;
  const std::string tools = NOTP_TXN_SOURCE;
  const std::vector<std::pair<std::string, std::vector<std::string>>> clients{
      {"openid-client",
       {NOTP_OPENID "/node", tools + "/client.mjs", NOTP_TXN_OTHERS "/node_modules"}},
      {"Authlib", {"/usr/bin/python3", "-B", tools + "/client.py"}}};
  for (const auto& [name, command] : clients) {
    CAPTURE(name);
    const json::value issued = run(site, command, "refund.request");
    CAPTURE(json::serialize(issued));
    const std::string type = text_at(issued, "token_type");
    CHECK((type == "N_A" || type == "n_a"));  // openid-client has it in lower case
    CHECK(text_at(issued, "issued_token_type") == "urn:ietf:params:oauth:token-type:txn_token");
    CHECK(text_at(issued, "scope") == "refund.request");
    const auto answer = site.edge->decide(
        "refunds/decision", DelegationSite::question("request", text_at(issued, "access_token"),
                                                     DelegationSite::job()));
    REQUIRE(answer);
    CHECK_MESSAGE(at(*answer, "allow") == json::value(true), json::serialize(*answer));

    const json::value refused = run(site, command, "refund.cancel");
    CHECK_MESSAGE(text_at(refused, "error") == "unauthorized_client", json::serialize(refused));
    CHECK(text_at(refused, "error_description").contains("refund.cancel"));
  }
}

}  // namespace
}  // namespace notp
