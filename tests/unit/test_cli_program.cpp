// The program notp as run by a shell: its output streams and exit status.
#include <doctest/doctest.h>
#include <sys/stat.h>

#include <fstream>

#include "common/storage/files.hpp"
#include "tests/support/process/shell.hpp"

using namespace notp;
namespace fs = std::filesystem;

namespace {

unsigned mode_of(const fs::path& path) {
  struct stat status{};
  REQUIRE(::stat(path.c_str(), &status) == 0);
  return status.st_mode & 07777;
}

// Of the first certificate.
std::string der_in(std::string_view pem) {
  const size_t begin = pem.find('\n', pem.find("-----BEGIN")) + 1;
  std::string text(pem.substr(begin, pem.find("-----END") - begin));
  std::erase(text, '\n');
  return notp::from_base64(text).value();
}

}  // namespace

TEST_CASE("a new model is valid, and is never written over") {
  Shell shell;
  const Ran made = shell.notp({"init", "model", "--ledger", "100000000000/9-pay.ments"});
  CHECK(made.status == 0);
  const Ran valid = shell.notp({"validate", "model", "-o", "json"});
  CHECK(valid.status == 0);
  CHECK(valid.error.empty());
  const json::value report = parsed(valid.output);
  CHECK(report.at("valid") == true);
  CHECK(report.at("tests").at("passed").to_number<int>() >= 2);
  CHECK(report.at("tests").at("failed").to_number<int>() == 0);
  CHECK(shell.notp({"validate", "model"}).output.contains("model is a valid model."));

  const std::string before = read_text(shell.path("model/manifest.json"));
  fs::remove_all(shell.path("model/.notp"));
  const Ran again = shell.notp({"init", "model", "--ledger", "100000000000/other", "-o", "json"});
  CHECK(again.status == 0);
  CHECK(parsed(again.output).at("files") == json::array({".notp/config.yaml", ".notp/.gitignore"}));
  CHECK(read_text(shell.path("model/manifest.json")) == before);
  const std::string settings = read_text(shell.path("model/.notp/config.yaml"));
  const Ran third = shell.notp({"init", "model", "--ledger", "100000000000/third"});
  CHECK(third.status == 0);
  CHECK(third.output.contains("nothing: it has all"));
  CHECK(read_text(shell.path("model/.notp/config.yaml")) == settings);
}

TEST_CASE("a model that is not valid: the place, the rule, exit code 3") {
  Shell shell;
  REQUIRE(shell.notp({"init", "model", "--ledger", "100000000000/payments"}).status == 0);
  std::ofstream(shell.path("model/payments/broken.rego")) << "package payments\n\nx := 1 +\n";
  const Ran text = shell.notp({"validate", "model"});
  CHECK(text.status == 3);
  CHECK(text.output.starts_with("payments/broken.rego:"));
  CHECK(text.output.contains("model is not a valid model: 1 finding."));
  const Ran as_json = shell.notp({"-o", "json", "validate", "model"});
  CHECK(as_json.status == 3);
  CHECK(parsed(as_json.output).at("findings").as_array().size() == 1);
}

TEST_CASE("mistakes on the command line exit with 2 and say what to read") {
  Shell shell;
  const std::vector<std::vector<std::string>> lines = {
      {},
      {"frobnicate"},
      {"root", "frobnicate"},
      {"plan", "--bogus"},
      {"diff", "v1"},
      {"init", "x"},
      {"init", "x", "--ledger", "payments"},
      {"pki", "issue", "x"},
      {"pki", "issue", "x", "--node", "a", "--admin", "b"},
      {"-o", "yaml", "version"},
      {"publish", "--onto-head", "--expect-version", "3"},
      {"publish", "--on-hard", "maybe"},
      {"publish", "--on-expired", "maybe"},
      {"publish", "--stale-after", "soon"},
      {"rollback", "100000000000/payments"},
      {"plan", "--config", "absent.yaml"},
      {"root", "init", "--root-key", "x", "--publisher", "y"},
      {"root", "add-key", "x", "--role", "nobody", "--key", "y"},
      {"root", "sign", "x"},
      {"withdraw", "100000000000/payments", "v1"},
      {"sign", "payments"},
      {"node", "evict", "edge-1"},
      {"node", "enroll", "edge-1", "--ttl", "soon"},
      {"node"},
      {"completion", "tcsh"}};
  for (const auto& line : lines) {
    std::string shown;
    for (const std::string& word : line) shown += word + " ";
    const Ran ran = shell.notp(line);
    CHECK_MESSAGE(ran.status == 2, shown);
    CHECK_MESSAGE(ran.output.empty(), shown);
    CHECK_MESSAGE(ran.error.starts_with("notp: "), shown);
  }
  CHECK(shell.notp({"frobnicate"}).error ==
        "notp: unknown command or option 'frobnicate' of 'notp'\n"
        "hint: see 'notp --help'\n");
}

TEST_CASE("with -o json an error is one object on standard error") {
  Shell shell;
  for (const auto& line : std::vector<std::vector<std::string>>{
           {"plan", "--bogus", "-o", "json"}, {"-ojson", "frobnicate"}, {"--output=json"}}) {
    const Ran ran = shell.notp(line);
    CHECK(ran.status == 2);
    CHECK(ran.output.empty());
    CHECK(error_code(ran) == "usage");
  }
  CHECK(error_code(shell.notp({"bogus"}, {{"NOTP_OUTPUT", "json"}})) == "usage");
  const Ran absent = shell.notp({"-o", "json", "validate", "absent"});
  CHECK(absent.status == 8);
  CHECK(error_code(absent) == "not_found");
}

TEST_CASE("keys: private to their owner, never overwritten") {
  Shell shell;
  const Ran made = shell.notp({"keygen", "--out", "alice", "-o", "json"});
  REQUIRE(made.status == 0);
  CHECK(parsed(made.output).at("keyid").as_string().size() == 16);
  CHECK(mode_of(shell.path("alice.key")) == 0600);
  const std::string key = read_text(shell.path("alice.key"));
  fs::remove(shell.path("alice.pub"));
  CHECK(shell.notp({"keygen", "--out", "alice"}).status == 2);
  CHECK(read_text(shell.path("alice.key")) == key);
  CHECK_FALSE(fs::exists(shell.path("alice.pub")));
}

TEST_CASE("a root says who may publish, and a root that was touched is refused") {
  Shell shell;
  for (const char* name : {"root-a", "root-b", "alice", "bob"})
    REQUIRE(shell.notp({"keygen", "--out", name}).status == 0);
  REQUIRE(
      shell
          .notp({"--trust-domain", "core.internal", "root", "init", "--root-key", "root-a.key",
                 "--root-key", "root-b.key", "--publisher", "100000000000/*=alice.pub,bob.pub:2",
                 "--publisher", "*/*=alice.pub", "--expires-in", "30"})
          .status == 0);
  const Ran shown = shell.notp({"root", "show", "root.envelope", "-o", "json"});
  REQUIRE(shown.status == 0);
  const json::value root = parsed(shown.output);
  CHECK(root.at("version") == 1);
  CHECK(root.at("root_threshold") == 2);
  CHECK(root.at("signers") == 2);
  CHECK(root.at("delegations").at(0).at("threshold") == 2);
  CHECK(root.at("delegations").at(1).at("pattern") == "*/*");
  CHECK(shell.notp({"root", "show", "root.envelope", "--trust-domain", "other.internal"}).status ==
        7);

  std::string bytes = read_text(shell.path("root.envelope"));
  bytes[bytes.find("core.internal")] = 'k';
  std::ofstream(shell.path("touched.envelope")) << bytes;
  const Ran touched = shell.notp({"root", "show", "touched.envelope"});
  CHECK(touched.status == 7);
  CHECK(touched.output.empty());
  const Ran threshold = shell.notp({"--trust-domain", "core.internal", "root", "init", "--root-key",
                                    "root-a.key", "--publisher", "*/*=alice.pub:2", "--out", "x"});
  CHECK(threshold.status == 2);
  CHECK_FALSE(fs::exists(shell.path("x")));
}

TEST_CASE("development certificates carry one identity and a loud warning") {
  Shell shell;
  const Ran made = shell.notp({"pki", "init", "pki", "--trust-domain", "core.internal"});
  REQUIRE(made.status == 0);
  CHECK(made.error.starts_with("warning: for development only"));
  const Ran issued = shell.notp({"pki", "issue", "pki", "--node", "edge-1", "-o", "json"});
  REQUIRE(issued.status == 0);
  CHECK(parsed(issued.output).at("identity") == "spiffe://core.internal/node/edge-1");
  CHECK(parsed(issued.output).at("development_only") == true);
  // A listener for sources of token lanes is checked by its names.
  REQUIRE(shell
              .notp({"pki", "issue", "pki", "--registry", "web", "--dns", "web.core.internal",
                     "--dns", "web", "--address", "127.0.0.1"})
              .status == 0);
  const std::string web = der_in(read_text(shell.path("pki/web.crt")));
  CHECK(web.contains("web.core.internal"));
  CHECK(web.contains(std::string("\x87\x04\x7f\x00\x00\x01", 6)));  // iPAddress
  CHECK(shell.notp({"pki", "issue", "pki", "--registry", "x", "--address", "x"}).status == 2);
  CHECK(mode_of(shell.path("pki/edge-1.key")) == 0600);
  CHECK(mode_of(shell.path("pki/ca.key")) == 0600);
  CHECK(shell.notp({"pki", "issue", "pki", "--node", "edge-1"}).status == 2);
  CHECK(shell.notp({"pki", "issue", "pki", "--node", "a b"}).status == 2);
  CHECK(shell.notp({"pki", "issue", "absent", "--node", "a"}).status == 8);
}

TEST_CASE("a registry that is not there: exit code 6") {
  Shell shell;
  for (const char* name : {"root", "alice"})
    REQUIRE(shell.notp({"keygen", "--out", name}).status == 0);
  REQUIRE(shell
              .notp({"--trust-domain", "core.internal", "root", "init", "--root-key", "root.key",
                     "--publisher", "*/*=alice.pub"})
              .status == 0);
  REQUIRE(shell.notp({"pki", "init", "pki", "--trust-domain", "core.internal"}).status == 0);
  REQUIRE(shell.notp({"pki", "issue", "pki", "--publisher", "alice"}).status == 0);
  REQUIRE(shell.notp({"init", "model", "--ledger", "100000000000/payments"}).status == 0);
  const std::vector<std::pair<std::string, std::string>> environment{
      {"NOTP_REGISTRY", "127.0.0.1:" + std::to_string(free_port())},
      {"NOTP_ROOT", "root.envelope"},
      {"NOTP_CERT", "pki/alice.crt"},
      {"NOTP_KEY", "pki/alice.key"},
      {"NOTP_CA", "pki/ca.crt"}};
  const Ran plan = shell.notp({"plan", "model", "-o", "json"}, environment);
  CHECK(plan.status == 6);
  CHECK(error_code(plan) == "unavailable");
  // Checks without the engine come before the network is used.
  std::filesystem::create_directories(shell.path("model/payments/broken"));
  std::ofstream(shell.path("model/payments/broken/data.json")) << "{\"x\": }\n";
  const Ran refused = shell.notp({"publish", "model", "--signing-key", "alice.key"}, environment);
  CHECK(refused.status == 3);
  CHECK(refused.error.starts_with("notp: model is not a valid model:\npayments/broken/data.json:"));
  CHECK(refused.error.ends_with("\nhint: 'notp validate' checks without publishing\n"));
  CHECK_FALSE(refused.error.contains("\n\n"));
  CHECK(shell.notp({"plan", "model"}).status == 2);
}

TEST_CASE("no escape sequences reach what is not a terminal") {
  Shell shell;
  for (const auto& line : std::vector<std::vector<std::string>>{
           {"--help"}, {"publish", "--help"}, {"bogus"}, {"version"}}) {
    const Ran ran = shell.notp(line);
    CHECK_FALSE((ran.output + ran.error).contains('\033'));
  }
  const Ran help = shell.notp({"--help"});
  CHECK(help.status == 0);
  CHECK(help.output.contains("Exit codes:"));
  CHECK(help.error.empty());
}

TEST_CASE("completion follows the tree of commands") {
  Shell shell;
  for (const char* shell_name : {"bash", "zsh", "fish"}) {
    const Ran script = shell.notp({"completion", shell_name});
    CHECK(script.status == 0);
    CHECK(script.output.contains("detailed-exitcode"));
  }
  const Ran script = shell.notp({"completion", "bash"});
  std::ofstream(shell.path("notp.bash")) << script.output;
  const Ran syntax = shell.run({"bash", "-n", "notp.bash"});
  CHECK(syntax.status == 0);
  CHECK(syntax.error.empty());
  const auto complete = [&](const std::string& words) {
    return shell
        .run({"bash", "-c",
              "source notp.bash; COMP_WORDS=(" + words +
                  "); COMP_CWORD=$((${#COMP_WORDS[@]}-1)); _notp; echo \"${COMPREPLY[*]}\""})
        .output;
  };
  CHECK(complete("notp ro") == "rollback root\n");
  CHECK(complete("notp root ''").starts_with("init add-key remove-key "));
  CHECK(complete("notp pending ''") == "drop\n");
  CHECK(complete("notp node en") == "enroll\n");
  CHECK(complete("notp -o json root in") == "init\n");
  CHECK(complete("notp plan --det") == "--detailed-exitcode\n");
  CHECK(complete("notp plan -o ''") == "text json\n");
  CHECK(complete("notp publish --on-expired s") == "serve\n");
  CHECK(complete("notp publish --on-expired = s") == "serve\n");  // as bash takes it apart
  CHECK(complete("notp completion f") == "fish\n");
  // Files are the shell's own business.
  CHECK(complete("notp --config ''") == "\n");
  CHECK(complete("notp validate ''") == "\n");
  CHECK(complete("notp root sign root.envelope --key ''") == "\n");
  // An option means what it means to its command.
  CHECK(complete("notp root add-key --role p") == "publisher\n");
  CHECK(complete("notp root set-threshold --role f") == "\n");
  CHECK_FALSE(complete("notp ''").contains("--"));
  CHECK_FALSE(complete("notp --com").contains("command-tree"));
}

TEST_CASE("the tree of commands as data has what --help shows, and is not shown by it") {
  Shell shell;
  const Ran ran = shell.notp({"--command-tree"}, {{"NOTP_OUTPUT", "text"}});
  REQUIRE(ran.status == 0);
  CHECK(ran.error.empty());
  const json::object tree = parsed(ran.output).as_object();
  CHECK_FALSE(shell.notp({"--help"}).output.contains("command-tree"));
  const auto child = [](const json::object& of, std::string_view path) {
    for (const json::value& one : of.at("children").as_array())
      if (one.at("path").as_string() == path) return one.as_object();
    FAIL("no command " << path);
    return json::object();
  };
  const auto option = [](const json::object& of, std::string_view name) {
    for (const json::value& one : of.at("options").as_array()) {
      if (const json::value* argument = one.as_object().if_contains("argument"))
        if (argument->as_string() == name) return one.as_object();
      if (const json::value* names = one.as_object().if_contains("names"))
        for (const json::value& known : names->as_array())
          if (known.as_string() == name) return one.as_object();
    }
    FAIL("no option " << name);
    return json::object();
  };
  CHECK(tree.at("children").as_array().size() > 20);
  CHECK(option(tree, "--registry").at("variable") == "NOTP_REGISTRY");
  CHECK(option(tree, "--registry").at("value") == "HOST:PORT");
  const json::object publish = child(tree, "publish");
  CHECK(option(publish, "folder").at("default") == ".");
  CHECK(option(publish, "--expires-in").at("checks") == json::array{"INT in [0 - 36500]"});
  CHECK(option(publish, "--on-expired").at("choices") == json::array{"deny", "serve"});
  CHECK(option(publish, "--on-expired").at("value") == "TEXT");
  CHECK(option(publish, "--dry-run").if_contains("value") == nullptr);
  CHECK(option(publish, "--base").at("excludes") == json::array{"--onto-head"});
  CHECK(option(publish, "--signing-key").at("repeats").as_bool());
  CHECK(option(child(tree, "withdraw"), "--reason").at("required").as_bool());
  const json::object root = child(tree, "root");
  CHECK(root.at("needs_command").as_bool());
  CHECK(root.at("footer").as_string().starts_with("A root travels as a file"));
  CHECK(child(root, "root publish").if_contains("footer") == nullptr);  // its parent's
  CHECK(child(tree, "pending").if_contains("needs_command") == nullptr);
  const json::object issue = child(child(tree, "pki"), "pki issue");
  CHECK(issue.at("one_of") == json::array{"Identity"});
  CHECK(option(issue, "--registry").at("group") == "Identity");
}
