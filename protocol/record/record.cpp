#include "protocol/record/record.hpp"

#include "protocol/record/field_writer.hpp"
#include "schemas/record.pb.h"

namespace notp::record {
namespace {

int number_of(auto value) { return static_cast<int>(value); }

void put(FieldWriter& out, const Failure& failure) {
  out.text(v1::Failure::kCodeFieldNumber, failure.code);
  out.text(v1::Failure::kMessageFieldNumber, failure.message);
  out.bytes(v1::Failure::kErrorsFieldNumber, failure.errors);
}

void put(FieldWriter& out, const Commitment& commitment) {
  out.text(v1::Commitment::kPointerFieldNumber, commitment.pointer);
  out.bytes(v1::Commitment::kSaltFieldNumber, commitment.salt);
  out.bytes(v1::Commitment::kHmacFieldNumber, commitment.hmac);
}

void put(FieldWriter& out, const Withheld& withheld) {
  out.number(v1::Withheld::kReasonFieldNumber, number_of(withheld.reason));
  out.text(v1::Withheld::kMessageFieldNumber, withheld.message);
  if (withheld.input_hash)
    out.bytes(v1::Withheld::kInputSha256FieldNumber, withheld.input_hash->view());
  if (withheld.result_hash)
    out.bytes(v1::Withheld::kResultSha256FieldNumber, withheld.result_hash->view());
}

void put(FieldWriter& out, const Pep& pep) {
  out.optional_number(v1::Pep::kUidFieldNumber, pep.uid);
  out.optional_number(v1::Pep::kGidFieldNumber, pep.gid);
  out.optional_number(v1::Pep::kPidFieldNumber, pep.pid);
  out.text(v1::Pep::kIdentityFieldNumber, pep.identity);
  out.text(v1::Pep::kTokenFieldNumber, pep.token);
  out.text(v1::Pep::kAddressFieldNumber, pep.address);
}

void put(FieldWriter& out, const Times& times) {
  out.number(v1::Times::kEvaluationUsFieldNumber, times.evaluation_us);
  out.number(v1::Times::kHandlerUsFieldNumber, times.handler_us);
  out.bytes(v1::Times::kAllFieldNumber, times.all);
}

void put(FieldWriter& out, const Lane& lane) {
  out.text(v1::Lane::kNameFieldNumber, lane.name);
  out.number(v1::Lane::kRevisionFieldNumber, lane.revision);
  out.text(v1::Lane::kStateFieldNumber, lane.state);
}

void put(FieldWriter& out, const TxnToken& token) {
  out.text(v1::TxnToken::kPointerFieldNumber, token.pointer);
  out.bytes(v1::TxnToken::kSha256FieldNumber, token.hash.view());
  out.text(v1::TxnToken::kTxnFieldNumber, token.txn);
  out.text(v1::TxnToken::kSubFieldNumber, token.sub);
  out.text(v1::TxnToken::kReqWlFieldNumber, token.req_wl);
}

void put(FieldWriter& out, const ActiveRelease& release) {
  out.number(v1::ActiveRelease::kZoneFieldNumber, release.ref.ledger.zone);
  out.text(v1::ActiveRelease::kLedgerFieldNumber, release.ref.ledger.name);
  out.number(v1::ActiveRelease::kEpochFieldNumber, release.ref.epoch);
  out.number(v1::ActiveRelease::kVersionFieldNumber, release.ref.version);
  out.bytes(v1::ActiveRelease::kReleaseFieldNumber, release.ref.release_hash.view());
  out.bytes(v1::ActiveRelease::kContentRootFieldNumber, release.ref.content_root.view());
  out.text(v1::ActiveRelease::kFreshnessFieldNumber, release.freshness);
}

void put(FieldWriter& out, const DroppedCount& count) {
  out.text(v1::DroppedCount::kPathFieldNumber, count.path);
  out.number(v1::DroppedCount::kOutcomeFieldNumber, number_of(count.outcome));
  out.text(v1::DroppedCount::kRuleFieldNumber, count.rule);
  out.number(v1::DroppedCount::kCountFieldNumber, count.count);
}

void put_message(FieldWriter& out, int field, const auto& value) {
  out.message(field, [&value](FieldWriter& inner) { put(inner, value); });
}

void put_masks(FieldWriter& out, const DecisionContent& content) {
  for (const std::string& pointer : content.erased)
    out.element(v1::Record::kErasedFieldNumber, pointer);
  for (const std::string& pointer : content.masked)
    out.element(v1::Record::kMaskedFieldNumber, pointer);
  for (const Commitment& commitment : content.commitments)
    put_message(out, v1::Record::kCommitmentsFieldNumber, commitment);
  if (content.withheld) put_message(out, v1::Record::kWithheldFieldNumber, *content.withheld);
}

void put_identifiers(FieldWriter& out, const DecisionContent& content) {
  out.text(v1::Record::kDecisionIdFieldNumber, content.decision_id);
  out.text(v1::Record::kBatchDecisionIdFieldNumber, content.batch_decision_id);
  out.text(v1::Record::kTraceIdFieldNumber, content.trace_id);
  out.text(v1::Record::kSpanIdFieldNumber, content.span_id);
  out.number(v1::Record::kReqIdFieldNumber, content.req_id);
  out.bytes(v1::Record::kRequestContextFieldNumber, content.request_context);
  out.text(v1::Record::kRequestedByFieldNumber, content.requested_by);
}

void put(FieldWriter& out, const DecisionContent& content) {
  out.number(v1::Record::kEvalTimeNsFieldNumber, content.eval_time_ns);
  out.number(v1::Record::kApiFieldNumber, number_of(content.api));
  out.text(v1::Record::kPathFieldNumber, content.path);
  out.text(v1::Record::kQueryFieldNumber, content.query);
  out.text(v1::Record::kLedgerFieldNumber, content.ledger);
  out.number(v1::Record::kOutcomeFieldNumber, number_of(content.outcome));
  out.optional_bytes(v1::Record::kInputFieldNumber, content.input);
  out.optional_bytes(v1::Record::kResultFieldNumber, content.result);
  if (content.error) put_message(out, v1::Record::kErrorFieldNumber, *content.error);
  out.bytes(v1::Record::kNdBuiltinCacheFieldNumber, content.nd_builtin_cache);
  put_masks(out, content);
  out.bytes(v1::Record::kMappedResultFieldNumber, content.mapped_result);
  out.bytes(v1::Record::kIntermediateResultsFieldNumber, content.intermediate_results);
  out.bytes(v1::Record::kRuleLabelsFieldNumber, content.rule_labels);
  out.bytes(v1::Record::kCustomFieldNumber, content.custom);
  put_identifiers(out, content);
  if (content.pep != Pep()) put_message(out, v1::Record::kPepFieldNumber, content.pep);
  if (content.times != Times()) put_message(out, v1::Record::kTimesFieldNumber, content.times);
  if (content.lane) put_message(out, v1::Record::kLaneFieldNumber, *content.lane);
  for (const TxnToken& token : content.txn_tokens)
    put_message(out, v1::Record::kTxnTokensFieldNumber, token);
}

void put(FieldWriter& out, const ActiveSet& active) {
  out.message(v1::Record::kActiveSetFieldNumber, [&active](FieldWriter& inner) {
    for (const ActiveRelease& release : active.releases)
      put_message(inner, v1::ActiveSet::kReleasesFieldNumber, release);
    inner.text(v1::ActiveSet::kEngineFieldNumber, active.engine);
    inner.text(v1::ActiveSet::kEngineVersionFieldNumber, active.engine_version);
    inner.text(v1::ActiveSet::kRevisionFieldNumber, active.revision);
    inner.bytes(v1::ActiveSet::kSystemFieldNumber, active.system);
  });
}

void put(FieldWriter& out, const RunStart& start) {
  out.message(v1::Record::kRunStartFieldNumber, [&start](FieldWriter& inner) {
    inner.text(v1::RunStart::kProgramFieldNumber, start.program);
    inner.number(v1::RunStart::kBootNsFieldNumber, start.boot_ns);
    inner.text(v1::RunStart::kBootIdFieldNumber, start.boot_id);
  });
}

void put(FieldWriter& out, const RunEnd& end) {
  out.message(v1::Record::kRunEndFieldNumber, [&end](FieldWriter& inner) {
    inner.text(v1::RunEnd::kReasonFieldNumber, end.reason);
  });
}

void put(FieldWriter& out, const Gap& gap) {
  out.message(v1::Record::kGapFieldNumber, [&gap](FieldWriter& inner) {
    inner.number(v1::Gap::kReasonFieldNumber, number_of(gap.reason));
    inner.number(v1::Gap::kCountFieldNumber, gap.count);
    inner.number(v1::Gap::kAtMostFieldNumber, number_of(gap.at_most));
    inner.text(v1::Gap::kSourceFieldNumber, gap.source);
    inner.text(v1::Gap::kMessageFieldNumber, gap.message);
  });
}

void put(FieldWriter& out, const Dropped& dropped) {
  out.message(v1::Record::kDroppedFieldNumber, [&dropped](FieldWriter& inner) {
    for (const DroppedCount& count : dropped.counts)
      put_message(inner, v1::Dropped::kCountsFieldNumber, count);
  });
}

// What a decision has beside its two large texts, most often: what is reserved for it.
constexpr size_t kUsualRestBytes = 512;

void append_content(Bytes& out, int64_t time_ns, const Content& content) {
  if (const auto* decision = std::get_if<DecisionContent>(&content))
    out.reserve(out.size() + kUsualRestBytes + (decision->input ? decision->input->size() : 0) +
                (decision->result ? decision->result->size() : 0));
  FieldWriter writer(out);
  writer.number(v1::Record::kTimeNsFieldNumber, time_ns);
  std::visit([&writer](const auto& each) { put(writer, each); }, content);
}

}  // namespace

Bytes encode_content(int64_t time_ns, const Content& content) {
  Bytes out;
  append_content(out, time_ns, content);
  return out;
}

void append_place(Bytes& out, Kind kind, const Place& place) {
  FieldWriter writer(out);
  writer.number(v1::Record::kKindFieldNumber, number_of(kind));
  writer.number(v1::Record::kPositionFieldNumber, place.position);
  writer.number(v1::Record::kRunFieldNumber, place.run);
  writer.number(v1::Record::kActiveFieldNumber, place.active);
}

Bytes encode(const Record& record) {
  Bytes out;
  append_place(out, record.kind(), record.place);
  append_content(out, record.time_ns, record.content);
  return out;
}

}  // namespace notp::record
