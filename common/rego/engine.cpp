#include "common/rego/engine.hpp"

#include <atomic>
#include <boost/json.hpp>
#include <utility>

#include "common/assert.hpp"
#include "common/rego/rego_c.h"

namespace notp::rego {
namespace {

namespace json = boost::json;

std::atomic<uint64_t> compilations_made = 0;

notp_rego_bytes bytes_of(std::string_view text) {
  return {reinterpret_cast<const uint8_t*>(text.data()), text.size()};
}

// Takes the engine's buffer over and frees it.
std::string take(notp_rego_buffer buffer) {
  std::string text(reinterpret_cast<const char*>(buffer.data), buffer.size);
  notp_rego_buffer_free(buffer);
  return text;
}

std::string string_at(const json::object& object, std::string_view key) {
  return std::string(object.at(key).as_string());
}

int int_at(const json::object& object, std::string_view key) {
  return static_cast<int>(object.at(key).to_number<int64_t>());
}

std::vector<std::string> strings_at(const json::object& object, std::string_view key) {
  std::vector<std::string> strings;
  for (const json::value& item : object.at(key).as_array()) strings.emplace_back(item.as_string());
  return strings;
}

std::string dotted(const std::vector<std::string>& package) {
  std::string text = "data";
  for (const std::string& component : package) text.append(".").append(component);
  return text;
}

// The engine library wrote this JSON itself: anything else than the expected shape is a bug.
template <typename T, typename Read>
Result<std::vector<T>> read_array(const std::string& text, Read read) {
  try {
    std::vector<T> items;
    const json::value parsed = json::parse(text);
    for (const json::value& item : parsed.as_array()) items.push_back(read(item));
    return items;
  } catch (const std::exception& error) {
    return fail(ErrorCode::kInternal,
                std::string("the Rego engine answered in an unexpected form: ") + error.what());
  }
}

Diagnostic read_diagnostic(const json::value& item) {
  const json::object& object = item.as_object();
  return {string_at(object, "path"), int_at(object, "line"), int_at(object, "column"),
          string_at(object, "message")};
}

TestOutcome read_outcome(std::string_view text) {
  if (text == "pass") return TestOutcome::kPass;
  if (text == "skip") return TestOutcome::kSkipped;
  return text == "error" ? TestOutcome::kError : TestOutcome::kFail;
}

TestResult read_test(const json::value& item) {
  const json::object& object = item.as_object();
  return {dotted(strings_at(object, "package")),
          string_at(object, "name"),
          string_at(object, "path"),
          int_at(object, "line"),
          read_outcome(string_at(object, "outcome")),
          string_at(object, "message")};
}

PackageOf read_package(const json::value& item) {
  const json::object& object = item.as_object();
  return {string_at(object, "path"), strings_at(object, "package")};
}

notp_rego_limits to_engine(const Limits& limits) {
  return {static_cast<uint64_t>(limits.evaluation_ms),
          static_cast<uint64_t>(limits.test_ms),
          static_cast<uint64_t>(limits.tests_ms),
          limits.module_bytes_max,
          limits.result_bytes_max,
          limits.diagnostics_max,
          limits.rule_depth_max};
}

std::vector<Diagnostic> without_place(std::string message) {
  return {Diagnostic{{}, 0, 0, std::move(message)}};
}

std::vector<notp_rego_module> module_views(std::span<const SourceFile> modules) {
  std::vector<notp_rego_module> views;
  views.reserve(modules.size());
  for (const SourceFile& module : modules)
    views.push_back({bytes_of(module.path), bytes_of(module.text)});
  return views;
}

// What keeps a set from compiling; empty when `handle` is set.
std::vector<Diagnostic> compile_findings(notp_rego_status status, const notp_rego_policy* handle,
                                         std::string answer) {
  if (status == NOTP_REGO_OK) {
    NOTP_ASSERT(handle != nullptr, "the engine reported success without a policy");
    return {};
  }
  if (status != NOTP_REGO_FINDINGS) return without_place(std::move(answer));
  auto findings = read_array<Diagnostic>(answer, read_diagnostic);
  if (!findings) return without_place(std::move(findings.error().message));
  if (findings->empty()) return without_place("the engine refused the policies without a reason");
  return *std::move(findings);
}

Error evaluation_error(notp_rego_status status, std::string_view path, std::string why) {
  const std::string subject = "cannot evaluate data/" + std::string(path) + ": ";
  switch (status) {
    case NOTP_REGO_BAD_INPUT:
      return {ErrorCode::kMessage, subject + "the input is not usable JSON: " + why, {}};
    case NOTP_REGO_EVALUATION:
      return {ErrorCode::kInvalidModel, subject + why, {}};
    case NOTP_REGO_TIME:
      return {ErrorCode::kTimeout, subject + why, {}};
    case NOTP_REGO_TOO_LARGE:
      return {ErrorCode::kLimit, subject + why, {}};
    default:
      return {ErrorCode::kInternal, subject + why, {}};
  }
}

}  // namespace

std::string to_string(const Diagnostic& diagnostic) {
  if (diagnostic.line == 0) return diagnostic.message;
  return diagnostic.path + ":" + std::to_string(diagnostic.line) + ":" +
         std::to_string(diagnostic.column) + ": " + diagnostic.message;
}

std::expected<std::shared_ptr<const Policy>, std::vector<Diagnostic>> Policy::compile(
    std::span<const SourceFile> modules, ByteView data_json, const Limits& limits) {
  if (data_json.size() > limits.data_bytes_max) {
    return std::unexpected(without_place("the data document exceeds " +
                                         std::to_string(limits.data_bytes_max) + " bytes"));
  }
  ++compilations_made;
  const auto views = module_views(modules);
  const notp_rego_limits engine_limits = to_engine(limits);
  notp_rego_policy* handle = nullptr;
  notp_rego_buffer out{};
  const notp_rego_status status = notp_rego_compile(views.data(), views.size(), bytes_of(data_json),
                                                    &engine_limits, &handle, &out);
  if (auto findings = compile_findings(status, handle, take(out)); !findings.empty())
    return std::unexpected(std::move(findings));
  return std::shared_ptr<const Policy>(new Policy(handle, limits));
}

std::expected<std::shared_ptr<const Policy>, std::vector<Diagnostic>> Policy::compile(
    std::span<const SourceFile> modules, std::span<const std::shared_ptr<const Document>> documents,
    const Limits& limits) {
  ++compilations_made;
  const auto views = module_views(modules);
  std::vector<const notp_rego_document*> handles;
  handles.reserve(documents.size());
  for (const auto& document : documents) handles.push_back(document->handle_);
  const notp_rego_limits engine_limits = to_engine(limits);
  notp_rego_policy* handle = nullptr;
  notp_rego_buffer out{};
  const notp_rego_status status = notp_rego_compile_documents(
      views.data(), views.size(), handles.data(), handles.size(), &engine_limits, &handle, &out);
  if (auto findings = compile_findings(status, handle, take(out)); !findings.empty())
    return std::unexpected(std::move(findings));
  return std::shared_ptr<const Policy>(new Policy(handle, limits));
}

Result<std::shared_ptr<const Document>> Document::parse(std::string_view path, ByteView json,
                                                        const Limits& limits) {
  if (json.size() > limits.data_bytes_max)
    return fail(ErrorCode::kLimit,
                "the data document exceeds " + std::to_string(limits.data_bytes_max) + " bytes");
  notp_rego_document* handle = nullptr;
  notp_rego_buffer out{};
  const notp_rego_status status =
      notp_rego_document_parse(bytes_of(path), bytes_of(json), &handle, &out);
  std::string answer = take(out);
  if (status == NOTP_REGO_OK) return std::shared_ptr<const Document>(new Document(handle));
  return fail(status == NOTP_REGO_BAD_INPUT ? ErrorCode::kMessage : ErrorCode::kInternal,
              "the data at data/" + std::string(path) + " is not usable: " + answer);
}

Document::~Document() { notp_rego_document_free(handle_); }

uint64_t Policy::compilations() { return compilations_made; }

Policy::~Policy() { notp_rego_policy_free(handle_); }

Result<std::shared_ptr<const Policy>> Policy::with_document(const Document& document) const {
  notp_rego_policy* handle = nullptr;
  notp_rego_buffer out{};
  const notp_rego_status status = notp_rego_with_document(handle_, document.handle_, &handle, &out);
  std::string answer = take(out);
  if (status == NOTP_REGO_OK) return std::shared_ptr<const Policy>(new Policy(handle, limits_));
  return fail(status == NOTP_REGO_BAD_INPUT ? ErrorCode::kUsage : ErrorCode::kInternal,
              "the document cannot be replaced: " + answer);
}

Result<std::optional<Bytes>> Policy::evaluate(std::string_view path, ByteView input_json) const {
  if (input_json.size() > limits_.input_bytes_max) {
    return fail(ErrorCode::kLimit,
                "the input document exceeds " + std::to_string(limits_.input_bytes_max) + " bytes");
  }
  notp_rego_buffer out{};
  const notp_rego_status status =
      notp_rego_evaluate(handle_, bytes_of(path), bytes_of(input_json), &out);
  std::string answer = take(out);
  if (status == NOTP_REGO_OK) return std::optional<Bytes>(std::move(answer));
  if (status == NOTP_REGO_UNDEFINED) return std::nullopt;
  return std::unexpected(evaluation_error(status, path, std::move(answer)));
}

Result<std::vector<TestResult>> Policy::run_tests() const {
  notp_rego_buffer out{};
  const notp_rego_status status = notp_rego_run_tests(handle_, &out);
  std::string answer = take(out);
  if (status != NOTP_REGO_OK) return fail(ErrorCode::kInternal, std::move(answer));
  return read_array<TestResult>(answer, read_test);
}

Result<std::vector<PackageOf>> Policy::packages() const {
  notp_rego_buffer out{};
  const notp_rego_status status = notp_rego_packages(handle_, &out);
  std::string answer = take(out);
  if (status != NOTP_REGO_OK) return fail(ErrorCode::kInternal, std::move(answer));
  return read_array<PackageOf>(answer, read_package);
}

Result<std::vector<Bytes>> undefined_functions(std::span<const SourceFile> callers,
                                               std::span<const SourceFile> missing,
                                               const Limits& limits) {
  const auto caller_views = module_views(callers);
  const auto missing_views = module_views(missing);
  const notp_rego_limits engine_limits = to_engine(limits);
  notp_rego_buffer out{};
  const notp_rego_status status =
      notp_rego_undefined_functions(caller_views.data(), caller_views.size(), missing_views.data(),
                                    missing_views.size(), &engine_limits, &out);
  std::string answer = take(out);
  if (status != NOTP_REGO_OK) return fail(ErrorCode::kInternal, std::move(answer));
  return read_array<Bytes>(answer, [](const json::value& item) { return Bytes(item.as_string()); });
}

}  // namespace notp::rego
