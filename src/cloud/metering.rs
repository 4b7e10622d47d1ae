//! What AWS is asked, counted where each client sends: every attempt, repetitions included.
//!
//! DynamoDB is asked to say what each call consumes (`ReturnConsumedCapacity`), indexes included. Where it says nothing, as of a step that
//! it refused, what was asked is weighed instead (`domain::cost::request_units`).

use std::sync::Arc;

use aws_sdk_dynamodb::operation::batch_get_item::{BatchGetItemInput, BatchGetItemOutput};
use aws_sdk_dynamodb::operation::get_item::{GetItemInput, GetItemOutput};
use aws_sdk_dynamodb::operation::put_item::{PutItemInput, PutItemOutput};
use aws_sdk_dynamodb::operation::query::{QueryInput, QueryOutput};
use aws_sdk_dynamodb::operation::scan::{ScanInput, ScanOutput};
use aws_sdk_dynamodb::operation::transact_write_items::{TransactWriteItemsInput, TransactWriteItemsOutput};
use aws_sdk_dynamodb::operation::update_item::{UpdateItemInput, UpdateItemOutput};
use aws_sdk_dynamodb::types::{ConsumedCapacity, ReturnConsumedCapacity};
use aws_sdk_s3::config::interceptors::{
    BeforeSerializationInterceptorContextMut, BeforeTransmitInterceptorContextRef,
    FinalizerInterceptorContextRef,
};
use aws_sdk_s3::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_s3::error::BoxError;

use crate::domain::cost::request_units::{Units, weighed};
use crate::domain::cost::usage::Measure;
use crate::flow::meter::Meter;

/// What SQS counts as one request.
const SQS_CHUNK_BYTES: u64 = 64 << 10;

/// Counts the requests of an SQS client.
#[derive(Debug)]
pub struct SqsMetering(pub Arc<Meter>);

/// Counts the requests of an S3 client.
#[derive(Debug)]
pub struct S3Metering(pub Arc<Meter>);

/// Counts the request units of a DynamoDB client.
#[derive(Debug)]
pub struct DynamoDbMetering(pub Arc<Meter>);

/// The length of a message in an interceptor's hands.
fn length(headers: &aws_sdk_s3::config::http::HttpResponse) -> u64 {
    headers.headers().get("content-length").and_then(|length| length.parse().ok()).unwrap_or(0)
}

impl Intercept for SqsMetering {
    fn name(&self) -> &'static str {
        "SqsMetering"
    }

    fn read_before_transmit(
        &self,
        _: &BeforeTransmitInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        self.0.add(Measure::SqsRequests, 1);
        Ok(())
    }

    fn read_after_attempt(
        &self,
        context: &FinalizerInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let asked =
            context.request().and_then(|request| request.body().bytes()).map_or(0, <[u8]>::len) as u64;
        let longest = asked.max(context.response().map_or(0, length));
        self.0.add(Measure::SqsRequests, longest.div_ceil(SQS_CHUNK_BYTES).saturating_sub(1));
        Ok(())
    }
}

impl Intercept for S3Metering {
    fn name(&self) -> &'static str {
        "S3Metering"
    }

    fn read_before_transmit(
        &self,
        context: &BeforeTransmitInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let request = context.request();
        self.0.add(s3_measure(request.method(), request.uri()), 1);
        Ok(())
    }
}

/// A listing is a GET of a bucket, and costs as a PUT does.
fn s3_measure(method: &str, uri: &str) -> Measure {
    let query = uri.split_once('?').map_or("", |(_, query)| query);
    let lists = query.split('&').any(|part| {
        let name = part.split('=').next().unwrap_or_default();
        ["versions", "list-type", "uploads"].contains(&name)
    });
    match (method, lists) {
        ("GET", false) | ("HEAD", _) => Measure::S3Gets,
        _ => Measure::S3Lists,
    }
}

impl Intercept for DynamoDbMetering {
    fn name(&self) -> &'static str {
        "DynamoDbMetering"
    }

    fn modify_before_serialization(
        &self,
        context: &mut BeforeSerializationInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let input = context.input_mut();
        let total = Some(ReturnConsumedCapacity::Total);
        if let Some(input) = input.downcast_mut::<TransactWriteItemsInput>() {
            input.return_consumed_capacity = total;
        } else if let Some(input) = input.downcast_mut::<GetItemInput>() {
            input.return_consumed_capacity = total;
        } else if let Some(input) = input.downcast_mut::<BatchGetItemInput>() {
            input.return_consumed_capacity = total;
        } else if let Some(input) = input.downcast_mut::<QueryInput>() {
            input.return_consumed_capacity = total;
        } else if let Some(input) = input.downcast_mut::<ScanInput>() {
            input.return_consumed_capacity = total;
        } else if let Some(input) = input.downcast_mut::<PutItemInput>() {
            input.return_consumed_capacity = total;
        } else if let Some(input) = input.downcast_mut::<UpdateItemInput>() {
            input.return_consumed_capacity = total;
        }
        Ok(())
    }

    fn read_after_attempt(
        &self,
        context: &FinalizerInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        // What the service says that it took.
        let told = context.output_or_error().and_then(Result::ok).and_then(|output| {
            if let Some(output) = output.downcast_ref::<TransactWriteItemsOutput>() {
                summed(output.consumed_capacity()).map(Units::written)
            } else if let Some(output) = output.downcast_ref::<PutItemOutput>() {
                summed(output.consumed_capacity()).map(Units::written)
            } else if let Some(output) = output.downcast_ref::<UpdateItemOutput>() {
                summed(output.consumed_capacity()).map(Units::written)
            } else if let Some(output) = output.downcast_ref::<GetItemOutput>() {
                summed(output.consumed_capacity()).map(Units::read)
            } else if let Some(output) = output.downcast_ref::<QueryOutput>() {
                summed(output.consumed_capacity()).map(Units::read)
            } else if let Some(output) = output.downcast_ref::<ScanOutput>() {
                summed(output.consumed_capacity()).map(Units::read)
            } else if let Some(output) = output.downcast_ref::<BatchGetItemOutput>() {
                summed(output.consumed_capacity()).map(Units::read)
            } else {
                None
            }
        });
        let Units { half_reads, writes } = match told {
            Some(told) => told,
            None => {
                let Some(request) = context.request() else { return Ok(()) };
                let operation = request.headers().get("x-amz-target").unwrap_or_default();
                let asked = request.body().bytes().unwrap_or_default();
                let status = context.response().map_or(0, |response| response.status().as_u16());
                weighed(operation, asked, context.response().map_or(0, length), status)
            }
        };
        self.0.add(Measure::DynamoDbHalfReads, half_reads);
        self.0.add(Measure::DynamoDbWrites, writes);
        Ok(())
    }
}

fn summed<'a>(of: impl IntoIterator<Item = &'a ConsumedCapacity>) -> Option<f64> {
    let told: Vec<f64> = of.into_iter().filter_map(ConsumedCapacity::capacity_units).collect();
    (!told.is_empty()).then(|| told.iter().sum())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn listings_are_told_from_objects() {
        assert_eq!(s3_measure("GET", "http://s3/b/k?x-id=GetObject&versionId=7"), Measure::S3Gets);
        assert_eq!(s3_measure("HEAD", "http://s3/b/k"), Measure::S3Gets);
        assert_eq!(s3_measure("GET", "http://s3/b?versions&prefix=a"), Measure::S3Lists);
        assert_eq!(s3_measure("GET", "http://s3/b?list-type=2"), Measure::S3Lists);
        assert_eq!(s3_measure("PUT", "http://s3/b/k"), Measure::S3Lists);
    }
}
