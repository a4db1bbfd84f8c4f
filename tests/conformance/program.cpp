#include "tests/conformance/program.hpp"

#include <stdexcept>

#include "common/limits.hpp"
#include "tests/conformance/opa_values.hpp"

namespace notp::conformance {
namespace {

using reference::Value;

// A value that OPA cannot give as JSON either.
constexpr std::string_view kNotJson = "not_json";
constexpr std::string_view kPaddedDocument = "base/data.json";

std::string member_text(const Value& object, const std::string& name) {
  const Value* const value = object.member(name);
  return value == nullptr ? std::string() : value->string();
}

// Adds a member that no rule reads. All states keep the same order of members, as another order
// would be a different document. The names need no escapes.
Bytes padded(const Bytes& document) {
  Bytes out = R"({"padding":")" + Bytes(limits::kPatchedDocumentBytesMin, 'x') + "\"";
  const auto value = reference::read(document);
  for (const auto& [name, member] : value->members)
    out += fmt::format(",\"{}\":{}", name, member->text);
  return out + "}";
}

// The value as in an answer; empty: undefined or an error.
std::string value_text(const Program& program, const std::vector<std::string>& path,
                       std::string_view text) {
  const auto value = reference::read(text);
  if (!value) return "not JSON: " + std::string(text);
  if (program.padded && path == std::vector<std::string>{"base"}) value->members.erase("padding");
  return by_value(*value);
}

// Describes what is wrong with one answer; empty: nothing.
std::string difference(const Program& program, const std::vector<std::string>& path,
                       const Result<pdp::Decision>& got, const Value& want) {
  const std::string code = member_text(want, "code");
  const auto wanted = want.members.find("value");
  const bool is_defined = wanted != want.members.end();
  const std::string wants = !code.empty() ? code
                            : is_defined  ? std::string(wanted->second->text)
                                          : "undefined";
  if (!got) {
    const bool right = code == kNotJson || (!code.empty() && got.error().message.contains(code));
    return right ? "" : fmt::format("error {}, want {}", got.error().message, wants);
  }
  const bool right = code.empty() && got->value.has_value() == is_defined &&
                     (!is_defined || value_text(program, path, *got->value) ==
                                         value_text(program, path, wanted->second->text));
  return right ? "" : fmt::format("{}, want {}", got->value.value_or("undefined"), wants);
}

struct Asked {
  size_t first_input, inputs;
  std::future<AgentPdp::Decisions> decisions;
};

// Asks the inputs of one path: together, or one by one.
std::vector<Asked> begin(AgentPdp& pdp, const Program& program,
                         const std::vector<std::string>& path, bool together) {
  std::vector<Asked> asked;
  pdp::Question question{.path = path};
  const auto& inputs = program.at("inputs").elements;
  for (size_t i = 0; i < inputs.size(); ++i) {
    question.inputs.emplace_back(Bytes(inputs[i]->text));
    if (together && i + 1 < inputs.size()) continue;
    const size_t count = question.inputs.size();
    asked.push_back({i + 1 - count, count, pdp.begin(question)});
    question.inputs.clear();
  }
  return asked;
}

rego::CheckRequest request_of(const Program& program, const ProgramFiles& files) {
  rego::CheckRequest request;
  auto contents = std::make_shared<std::map<Hash, std::shared_ptr<const Bytes>>>();
  const auto keep = [&](const Bytes& text) {
    const Hash hash = sha256(text);
    (*contents)[hash] = std::make_shared<const Bytes>(text);
    return hash;
  };
  for (const auto& [path, text] : files.modules)
    request.modules.push_back({path, keep(text), text.size(), 1});
  for (const auto& document : program.at("documents").elements) {
    const std::string path = member_text(*document, "key");
    rego::CheckDocument& entry = request.documents.emplace_back();
    entry.path = path;
    for (const auto& segment : document->members.at("mount")->elements)
      entry.mount.push_back(segment->string());
    entry.hash = keep(files.documents.at(path));
    entry.bytes = files.documents.at(path).size();
  }
  request.load = [contents](const Hash& hash) -> Result<std::shared_ptr<const Bytes>> {
    return contents->at(hash);
  };
  return request;
}

std::vector<std::string> sorted(std::vector<std::string> all) {
  std::ranges::sort(all);
  const auto rest = std::ranges::unique(all);
  all.erase(rest.begin(), rest.end());
  return all;
}

// With several cycles through a rule, OPA names a random one, because it iterates over a map.
// Compares only that the cycle starts and ends at the rule, as the oracle does.
std::string without_chance(const std::string& message) {
  constexpr std::string_view kRule = "rule ", kIs = " is recursive", kTo = " -> ";
  const size_t is = message.find(kIs);
  if (!message.starts_with(kRule) || is == std::string::npos) return message;
  const std::string name = message.substr(kRule.size(), is - kRule.size());
  const bool is_cycle =
      message.substr(is + kIs.size()).starts_with(": " + name + std::string(kTo)) &&
      message.ends_with(std::string(kTo) + name);
  return is_cycle ? message.substr(0, is + kIs.size()) : message;
}

// Without the hint that a file is Rego v0, which OPA does not give.
std::vector<std::string> findings_of(const rego::CheckReport& report) {
  std::vector<std::string> all;
  for (const auto& each : report.findings) {
    const std::string message = each.message.substr(0, each.message.find('\n'));
    if (message.contains("v0-v1")) continue;
    all.push_back(fmt::format("{}{}:{} {}: {}", each.warning ? "" : "ERROR ", each.path, each.row,
                              each.code, without_chance(message)));
  }
  return sorted(std::move(all));
}

std::vector<std::string> wanted_findings(const Value& list) {
  std::vector<std::string> all;
  for (const auto& each : list.elements) all.push_back(each->string());
  return sorted(std::move(all));
}

std::vector<std::string> tests_of(const rego::CheckReport& report) {
  constexpr const char* kNames[] = {"pass", "fail", "error", "skip"};
  std::vector<std::string> all;
  for (const auto& each : report.tests)
    all.push_back(fmt::format("{} {} {}.{}", kNames[static_cast<size_t>(each.outcome)], each.path,
                              each.package, each.name));
  std::ranges::sort(all);
  return all;
}

std::vector<std::string> wanted_tests(const Program& program, bool without_passed) {
  std::vector<std::string> all;
  for (const auto& each : program.at("tests").elements) {
    const std::string outcome = member_text(*each, "outcome");
    if (without_passed && outcome == "pass") continue;
    std::string name = member_text(*each, "name");
    if (const Value* const trail = each->member("trail"))
      for (const auto& part : trail->elements) name += "/" + part->string();
    all.push_back(fmt::format("{} {} {}.{}", outcome, member_text(*each, "path"),
                              member_text(*each, "package"), name));
  }
  std::ranges::sort(all);
  return all;
}

void compare(const std::string& what, const std::vector<std::string>& got,
             const std::vector<std::string>& want, std::vector<std::string>& differences) {
  if (got == want) return;
  std::string text = what + ":\n";
  for (const auto& line : got) text += "  " + line + "\n";
  text += "want:\n";
  for (const auto& line : want) text += "  " + line + "\n";
  differences.push_back(std::move(text));
}

// OPA stops at the first stage that fails, the judge may find more: everything that OPA finds must
// be found, and nothing where OPA finds no error.
void compare_broken(const std::string& what, const std::vector<std::string>& got,
                    const std::vector<std::string>& want, std::vector<std::string>& differences) {
  const bool has_error =
      std::ranges::any_of(want, [](const auto& each) { return each.starts_with("ERROR "); });
  if (!has_error || !std::ranges::includes(got, want)) compare(what, got, want, differences);
}

}  // namespace

ProgramSource::ProgramSource(uint64_t seed, uint64_t count)
    : pipe_(::popen(fmt::format("'{}' -seed {} -count {} -damaged 1 -clock=false",
                                oracle("opa-programs"), seed, count)
                        .c_str(),
                    "re")) {
  if (pipe_ == nullptr) throw std::runtime_error("the generator cannot be started");
}

ProgramSource::~ProgramSource() {
  ::pclose(pipe_);
  std::free(buffer_);
}

std::optional<Program> ProgramSource::next() {
  const ssize_t length = ::getline(&buffer_, &capacity_, pipe_);
  if (length <= 0) return std::nullopt;
  Program program;
  program.line.assign(buffer_, static_cast<size_t>(length));
  return program;
}

ProgramFiles files_of(const Program& program, ProgramState state) {
  ProgramFiles files;
  for (const auto& module : program.at("modules").elements)
    files.modules[member_text(*module, "key")] = member_text(*module, "text");
  for (const auto& document : program.at("documents").elements)
    files.documents[member_text(*document, "key")] = document->members.at("value")->text;
  const Value& patch = program.at("patch");
  if (state != ProgramState::kCold)
    files.documents[member_text(patch, "key")] = patch.members.at("value")->text;
  const Value& change = program.at("change");
  if (state == ProgramState::kChanged)
    files.modules[member_text(change, "key")] = member_text(change, "text");
  if (program.padded) {
    Bytes& document = files.documents[std::string(kPaddedDocument)];
    document = padded(document);
  }
  return files;
}

TestComposition active_set_of(const Program& program, ProgramState state, uint64_t version) {
  const ProgramFiles files = files_of(program, state);
  TestLedger ledger{"programs", version, {"base", "org", "app"}, files.modules};
  ledger.files.insert(files.documents.begin(), files.documents.end());
  return compose({ledger});
}

std::vector<std::string> differing_answers(AgentPdp& pdp, const Program& program,
                                           ProgramState state, uint64_t& compared) {
  const auto& paths = program.at("paths").elements;
  std::vector<std::vector<std::string>> segments;
  std::vector<std::vector<Asked>> asked;
  for (const auto& path : paths) {
    auto& each = segments.emplace_back();
    for (const auto& segment : path->elements) each.push_back(segment->string());
    asked.push_back(begin(pdp, program, each, segments.size() % 4 != 0));
  }
  const Value& stage = *program.at("stages").elements.at(static_cast<size_t>(state));
  std::vector<std::string> differences;
  for (size_t i = 0; i < paths.size(); ++i)
    for (Asked& each : asked[i]) {
      auto decisions = each.decisions.get();
      // With one input, its error is the question's.
      if (!decisions)
        decisions = std::vector<Result<pdp::Decision>>{std::unexpected(decisions.error())};
      if (each.inputs != decisions->size()) {
        differences.push_back(fmt::format("{}: {} decisions for {} inputs", paths[i]->text,
                                          decisions->size(), each.inputs));
        continue;
      }
      for (size_t j = 0; j < decisions->size(); ++j) {
        const size_t input = each.first_input + j;
        const Value& want = *stage.members.at("answers")->elements.at(i)->elements.at(input);
        ++compared;
        if (auto problem = difference(program, segments[i], (*decisions)[j], want);
            !problem.empty())
          differences.push_back(fmt::format("{}, input {}: {}", paths[i]->text, input, problem));
      }
    }
  return differences;
}

std::vector<std::string> differing_checks(rego::ModelChecker& checker, const Program& program) {
  std::vector<std::string> differences;
  const ProgramFiles files = files_of(program, ProgramState::kCold);
  for (const char* state : {"cold", "again"}) {
    const auto report = checker.check(request_of(program, files));
    if (!report) {
      differences.push_back(report.error().message);
      return differences;
    }
    compare(fmt::format("findings, {}", state), findings_of(*report),
            wanted_findings(program.at("strict")), differences);
    compare(fmt::format("tests, {}", state), tests_of(*report),
            wanted_tests(program, report->tests_known > 0), differences);
  }
  for (const auto& broken : program.at("broken").elements) {
    ProgramFiles damaged = files;
    damaged.modules[member_text(*broken, "key")] = member_text(*broken, "text");
    rego::CheckRequest request = request_of(program, damaged);
    request.run_tests = false;
    const auto report = checker.check(request);
    if (!report)
      differences.push_back(report.error().message);
    else
      compare_broken("findings, damaged", findings_of(*report),
                     wanted_findings(*broken->members.at("findings")), differences);
  }
  return differences;
}

}  // namespace notp::conformance
