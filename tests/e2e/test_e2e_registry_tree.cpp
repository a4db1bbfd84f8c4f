// The registry's tree with the real programs: nodes and a witness of another organisation cosign
// it, a decision is proven and checked without the registry, and a registry whose owner changes its
// files is found out, by its nodes or by an auditor.
#include <doctest/doctest.h>

#include "common/zstd.hpp"
#include "notp-server/audit/day_files.hpp"
#include "notp-server/audit_tree/tree_file_names.hpp"
#include "tests/support/process/audit_site.hpp"

namespace notp {
namespace {

namespace fs = std::filesystem;

struct TreeSite : AuditSite {
  void configure(json::array witnesses) {
    stack.registry_more["audit"] =
        json::object{{"seal_ms", kSealMs}, {"witnesses", std::move(witnesses)}};
    stack.write_registry_config();
  }
  Agent& decided(const std::string& name, int64_t count) {
    Agent& agent = start_agent({.name = name});
    for (int64_t i = 0; i < count; ++i) REQUIRE(ask(agent, 1'000 + i));
    return agent;
  }
  json::value tree() {
    const CliResult shown = stack.notp("eve", {"registry", "tree"});
    REQUIRE_MESSAGE(shown.status == 0, shown.error);
    return shown.document;
  }
  // All answers are recorded, in the tree, and cosigned by so many.
  void settle(size_t cosigners) {
    check_all();
    REQUIRE(wait_until([&] {
      const CliResult verified = verify();
      if (verified.status != 0) return false;
      for (const json::value& log : at(verified.document, "logs").as_array())
        if (number_at(log, "unsealed") != 0) return false;
      return at(tree(), "cosigners").as_array().size() >= cosigners;
    }));
  }
  fs::path audit_folder() const { return stack.file("registry.data/audit"); }
  CliResult verify_with(std::vector<std::string> options) {
    std::vector<std::string> command = {"decisions", "verify"};
    command.insert(command.end(), options.begin(), options.end());
    return stack.notp("eve", std::move(command));
  }
};

// A witness process, with the port that it says it has.
struct WitnessProcess {
  WitnessProcess(TreeSite& site, const std::string& tree_key) : process(start(site, tree_key)) {
    REQUIRE(wait_until([&] { return parse_json(process.output()).has_value(); }));
    const json::value said = must(parse_json(process.output()));
    key = text_at(said, "key");
    url = fmt::format("http://127.0.0.1:{}", number_at(said, "port"));
  }
  static Process start(TreeSite& site, const std::string& tree_key) {
    return Process({.command = {site.stack.program("notp"), "-o", "json", "witness", "serve",
                                "--folder", site.stack.file("witness"), "--name",
                                "witness.example/w1", "--log", tree_key, "--port", "0"},
                    .folder = site.stack.folder(),
                    .environment = {},
                    .output_file = site.stack.file("witness.out"),
                    .error_file = site.stack.file("witness.err")});
  }
  Process process;
  std::string key, url;
};

bool refuses_registry(const Agent& agent) {
  return agent.count_events("receipt_refused", "registry_split") > 0 &&
         json::serialize(agent.status()).contains("tree_refused");
}

}  // namespace

TEST_CASE("a decision is proven with nodes and another organisation as witnesses") {
  TreeSite site;
  Stack& stack = site.stack;
  Agent& first = site.decided("edge-1", 30);
  site.decided("edge-2", 5);
  site.settle(1);
  const std::string tree_key = text_at(site.tree(), "key");

  WitnessProcess witness(site, tree_key);
  CHECK(stack.stop_registry() == 0);
  site.configure({json::object{{"url", witness.url}, {"key", witness.key}}});
  stack.start_registry();
  REQUIRE(wait_until([&] { return site.ask(first, 77); }));
  REQUIRE(wait_until([&] {
    return json::serialize(at(site.tree(), "cosigners")).contains("witness.example/w1");
  }));
  site.settle(1);

  const std::string id = *site.answered().begin();
  const std::string file = stack.file("proof.json");
  const CliResult proven = stack.notp("eve", {"decisions", "prove", id, "--file", file});
  REQUIRE_MESSAGE(proven.status == 0, proven.error);
  MESSAGE("a proof of ", number_at(proven.document, "bytes"), " bytes, cosigned by ",
          number_at(proven.document, "cosigned"));

  // Offline, with all that an auditor would bring.
  CHECK(stack.stop_registry() == 0);
  const CliResult checked =
      stack.notp("eve", {"decisions", "check", file, "--node-ca", stack.authority_file(), "--root",
                         stack.root_file(), "--witness", witness.key});
  REQUIRE_MESSAGE(checked.status == 0, checked.output << checked.error);
  CHECK(text_at(checked.document, "node").contains("/node/edge-"));
  CHECK(text_at(checked.document, "event.decision_id") == id);
  CHECK(number_at(checked.document, "cosigned") >= 1);
  CHECK(at(checked.document, "unchecked").as_array().empty());
  CHECK(checked.output.contains("release.signatures"));

  // Another answer in its place is none.
  std::string text = read_text(file);
  json::value document = must(parse_json(text));
  std::string record = must(
      Result<std::string>(*from_base64(document.at("decision").at("record").as_string().c_str())));
  const size_t result = record.find("\"allow\":");
  REQUIRE(result != std::string::npos);
  record[result + 8] ^= 1;
  document.at("decision").as_object()["record"] = to_base64(record);
  must(write_file(file, json::serialize(document)));
  const CliResult refused = stack.notp("eve", {"decisions", "check", file});
  CHECK(refused.status == 1);
  CHECK_MESSAGE(refused.output.contains("not record"), refused.output);
}

// --- a registry whose owner lies

namespace {

// What an owner can do to the store, with the project's own code.
using Change = std::function<bool(audit::StoredSegment& segment)>;  // false: leave it out

// Writes the store again, with what `change` makes of each segment.
void rewrite(const fs::path& folder, const Change& change) {
  const fs::path fresh = folder.string() + ".fresh";
  fs::remove_all(fresh);
  {
    auto from = must(audit::DayFiles::open(folder, {}));
    auto to = must(audit::DayFiles::open(fresh, {}));
    for (audit::StoredLog log : must(from->logs({}, SIZE_MAX))) {
      log.tree = {};
      must(to->put_log(log));
    }
    std::vector<uint64_t> keys;
    must(from->list({.ascending = true}, [&](const audit::SegmentRow& row, const auto&) {
      keys.push_back(row.key);
      return true;
    }));
    for (const uint64_t key : keys) {
      audit::StoredSegment segment = must(from->read(key));
      if (change(segment)) must(to->append({segment}));
    }
  }
  for (const auto& file : fs::directory_iterator(folder))
    if (file.path().filename() == "logs.db" || file.path().filename().string().starts_with("20"))
      fs::remove(file.path());
  for (const auto& file : fs::directory_iterator(fresh))
    fs::rename(file.path(), folder / file.path().filename());
  fs::remove_all(fresh);
}

struct Lie {
  std::string name;
  std::function<void(const fs::path& folder)> tell;
  std::vector<std::string> found;  // one of them is in what verify says
};

// The key of the first segment that holds decisions.
uint64_t decisions_of(audit::DayFiles& store) {
  uint64_t out = 0;
  must(store.list({.ascending = true}, [&](const audit::SegmentRow& row, const auto&) {
    if (row.count > 3 && out == 0) out = row.key;
    return out == 0;
  }));
  REQUIRE(out != 0);
  return out;
}

}  // namespace

TEST_CASE("an owner who changes the store is found out by verify, each time by name") {
  TreeSite site;
  Stack& stack = site.stack;
  Agent& first = site.decided("edge-1", 30);
  site.settle(1);
  CHECK(stack.stop_registry() == 0);
  fs::copy_file(site.audit_folder() / audit::kTreeFile, stack.file("early.tree.db"));
  stack.start_registry();
  Agent& second = site.decided("edge-2", 30);
  site.settle(1);
  const std::string checkpoint = stack.file("kept.checkpoint");
  REQUIRE(site.verify_with({"--checkpoint", checkpoint}).status == 0);
  // Nodes would send again what is missing.
  CHECK(first.stop() == 0);
  CHECK(second.stop() == 0);
  CHECK(stack.stop_registry() == 0);
  const fs::path folder = site.audit_folder(), good = stack.file("good");
  fs::copy(folder, good, fs::copy_options::recursive);

  record::LogId one, other;
  {
    auto store = must(audit::DayFiles::open(folder, {}));
    const auto logs = must(store->logs({}, SIZE_MAX));
    REQUIRE(logs.size() == 2);
    one = logs[0].log;
    other = logs[1].log;
  }
  const auto nth_of = [](const record::LogId& log, int n, const Change& change) -> Change {
    return [=, seen = 0](audit::StoredSegment& segment) mutable {
      return segment.segment.head.log != log || seen++ != n || change(segment);
    };
  };
  const auto leave_out = [](audit::StoredSegment&) { return false; };
  const std::vector<Lie> lies = {
      {"the end of a log is dropped",
       [&](const fs::path& at) {
         std::map<record::LogId, record::Position> ends;
         rewrite(at, [&](audit::StoredSegment& s) {
           ends[s.segment.head.log] = s.segment.head.end();
           return true;
         });
         rewrite(at, [&](audit::StoredSegment& s) {
           return s.segment.head.log != one || s.segment.head.end() != ends[one];
         });
       },
       {"are there: the others are missing"}},
      {"a whole log is dropped",
       [&](const fs::path& at) {
         rewrite(at, [&](audit::StoredSegment& s) { return s.segment.head.log != one; });
       },
       {"is missing: the registry's tree says that it was taken", "records of the log were taken"}},
      {"the first segment of a log is dropped",
       [&](const fs::path& at) { rewrite(at, nth_of(one, 0, leave_out)); },
       {"at record 0", "are there: the others are missing"}},
      {"records are put in place of others",
       [&](const fs::path& at) {
         rewrite(at, [&](audit::StoredSegment& s) {
           auto opened = must(record::OpenedSegment::open(s.segment.head, s.segment.body));
           if (s.segment.head.log != one || opened.records().size() < 4) return true;
           // The answer of each decision is another one, and all else as it was.
           Bytes content;
           for (const ByteView each : opened.records()) {
             Bytes changed(each);
             if (const size_t at_allow = changed.find("\"allow\":"); at_allow != Bytes::npos)
               changed[at_allow + 8] ^= 1;
             put_varint(content, changed.size());
             content += changed;
           }
           s.segment.body = must(zstd_compress(content, {}, {}));
           return true;
         });
       },
       {"do not continue the log as the node signed it"}},
      {"two nodes' records are exchanged",
       [&](const fs::path& at) {
         std::map<record::LogId, Bytes> bodies;
         rewrite(at, [&](audit::StoredSegment& s) {
           bodies.try_emplace(s.segment.head.log, s.segment.body);
           return true;
         });
         rewrite(at, [&, seen = std::set<record::LogId>()](audit::StoredSegment& s) mutable {
           if (seen.insert(s.segment.head.log).second)
             s.segment.body = bodies.at(s.segment.head.log == one ? other : one);
           return true;
         });
       },
       {"stands in its place", "do not continue the log", "the segment"}},
      {"bodies are deleted without a statement",
       [&](const fs::path& at) {
         auto store = must(audit::DayFiles::open(at, {}));
         must(store->remove(decisions_of(*store)));
       },
       {"no statement in its tree says that it was deleted"}},
      {"records are erased without a statement",
       [&](const fs::path& at) {
         auto store = must(audit::DayFiles::open(at, {}));
         const uint64_t key = decisions_of(*store);
         const auto segment = must(store->read(key));
         must(store->redact({{key, {segment.segment.head.end() - 1}}}));
       },
       {"only its hash is there"}},
      {"the tree is put back to an older one",
       [&](const fs::path& at) {
         for (const char* end : {"", "-wal", "-shm"})
           fs::remove(at / (std::string(audit::kTreeFile) + end));
         fs::copy_file(stack.file("early.tree.db"), at / audit::kTreeFile);
       },
       {"has shrunk", "was rewritten"}},
      {"another key begins another tree",
       [&](const fs::path& at) { fs::remove(at / audit::kTreeKeyFile); },
       {"has another tree"}},
  };

  for (const Lie& lie : lies) {
    CAPTURE(lie.name);
    fs::remove_all(folder);
    fs::copy(good, folder, fs::copy_options::recursive);
    lie.tell(folder);
    stack.start_registry();
    const std::string kept = stack.file("kept.copy");
    fs::copy_file(checkpoint, kept, fs::copy_options::overwrite_existing);
    const CliResult verified = site.verify_with({"--checkpoint", kept, "--all-ledgers"});
    CHECK_MESSAGE(verified.status == 1, verified.output << verified.error);
    CHECK_MESSAGE(std::ranges::any_of(
                      lie.found, [&](const auto& text) { return verified.output.contains(text); }),
                  verified.output << verified.error);
    CHECK(stack.stop_registry() == 0);
  }
  fs::remove_all(folder);
  fs::copy(good, folder, fs::copy_options::recursive);
  stack.start_registry();
  const CliResult honest = site.verify_with({"--checkpoint", checkpoint, "--all-ledgers"});
  CHECK_MESSAGE(honest.status == 0, honest.output << honest.error);
}

TEST_CASE("a registry that was rolled back is refused by the node that has seen more") {
  TreeSite site;
  Stack& stack = site.stack;
  Agent& agent = site.decided("edge-1", 10);
  site.settle(1);
  CHECK(stack.stop_registry() == 0);
  const fs::path folder = site.audit_folder(), earlier = stack.file("earlier");
  fs::copy(folder, earlier, fs::copy_options::recursive);
  stack.start_registry();
  for (int64_t i = 0; i < 20; ++i) REQUIRE(wait_until([&] { return site.ask(agent, i); }));
  site.settle(1);
  CHECK_FALSE(refuses_registry(agent));

  CHECK(stack.stop_registry() == 0);
  fs::remove_all(folder);
  fs::copy(earlier, folder, fs::copy_options::recursive);
  stack.start_registry();
  CHECK(wait_until([&] {
    site.ask(agent, 5);
    return refuses_registry(agent);
  }));
  // The registry's operator hears of it, too.
  CHECK(wait_until([&] { return stack.count_events("registry_tree_refused") > 0; }));
}

TEST_CASE("a tree of another key is refused by its nodes until a person accepts it") {
  TreeSite site;
  Stack& stack = site.stack;
  Agent& agent = site.decided("edge-1", 10);
  site.settle(1);
  CHECK(stack.stop_registry() == 0);
  fs::remove(site.audit_folder() / audit::kTreeKeyFile);
  stack.start_registry();
  CHECK(wait_until([&] {
    site.ask(agent, 5);
    return refuses_registry(agent);
  }));
  const std::string key = text_at(site.tree(), "key");
  const std::string origin = key.substr(0, key.find('+'));
  CHECK(agent.stop() == 0);
  const auto accepted = Process({.command = {stack.program("notp-client"), "decisions",
                                             "accept-tree", origin.substr(origin.rfind('/') + 1),
                                             "--config", agent.config_file().string()},
                                 .folder = stack.folder(),
                                 .environment = {},
                                 .output_file = stack.file("accept.out"),
                                 .error_file = stack.file("accept.err")})
                            .wait();
  CHECK_MESSAGE(accepted == 0, read_text(stack.file("accept.err")));
  agent.start();
  CHECK(wait_until([&] {
    return site.ask(agent, 6) && !json::serialize(agent.status()).contains("tree_refused") &&
           at(site.tree(), "cosigners").as_array().size() == 1;
  }));
}

TEST_CASE("a tree that was split is refused by the node that saw the other part") {
  TreeSite site;
  Stack& stack = site.stack;
  Agent& first = site.decided("edge-1", 10);
  Agent& second = site.decided("edge-2", 10);
  site.settle(1);
  CHECK(stack.stop_registry() == 0);
  const fs::path folder = site.audit_folder(), common = stack.file("common");
  fs::copy(folder, common, fs::copy_options::recursive);
  // One part of the tree, of which only the second node learns.
  CHECK(first.stop() == 0);
  stack.start_registry();
  for (int64_t i = 0; i < 5; ++i) REQUIRE(wait_until([&] { return site.ask(second, i); }));
  site.settle(1);
  CHECK(second.stop() == 0);
  CHECK(stack.stop_registry() == 0);
  // The other one, for the first node, which makes it longer than the one before.
  fs::remove_all(folder);
  fs::copy(common, folder, fs::copy_options::recursive);
  stack.start_registry();
  first.start();
  const int64_t before = number_at(site.tree(), "size");
  for (int64_t i = 0; i < 200 && number_at(site.tree(), "size") < before + 8; ++i)
    REQUIRE(wait_until([&] { return site.ask(first, i); }));
  CHECK_FALSE(refuses_registry(first));
  second.start();
  CHECK(wait_until([&] {
    site.ask(second, 6);
    return refuses_registry(second);
  }));
  CHECK_FALSE(refuses_registry(first));
}

}  // namespace notp
