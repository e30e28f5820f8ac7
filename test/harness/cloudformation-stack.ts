/** A stack as moto's CloudFormation makes it of a template, and what cfn-lint says of one (both by scripts/moto-server). */
import { execFileSync } from "node:child_process";
import { python } from "./moto-aws.ts";
import { run } from "./spawned.ts";

export interface Stack {
  /** Of the first instance, as it would run it. */
  readonly userData: string;
  readonly launch: { readonly MetadataOptions?: { readonly HttpTokens?: string } };
  /** What may connect to an instance. */
  readonly inbound: readonly unknown[];
  readonly resources: readonly string[];
}

export async function makeStack(
  template: string,
  parameters: Readonly<Record<string, string>>,
): Promise<Stack> {
  const made = await run(
    {
      command: python(),
      args: ["-c", MAKE_STACK, template, JSON.stringify(parameters)],
      env: { AWS_ACCESS_KEY_ID: "of-the-tests", AWS_SECRET_ACCESS_KEY: "of-the-tests" },
    },
    { deadlineMs: 180_000 },
  );
  if (made.exit.code !== 0) throw new Error(made.output);
  return JSON.parse(made.stdout) as Stack;
}

/** @returns what it finds, nothing where all is well. */
export function lint(template: string): string {
  const args = ["-c", "import sys; from cfnlint.runner import main; sys.argv[0] = 'cfn-lint'; main()"];
  try {
    return execFileSync(python(), [...args, "--include-checks", "I", "--", template], { encoding: "utf8" });
  } catch (failed) {
    return String((failed as { stdout?: unknown }).stdout);
  }
}

/** A file that the user data writes. */
export function fileOf(userData: string, path: string): string {
  const begin = `cat >${path} <<'END_OF_FILE'\n`;
  const from = userData.indexOf(begin);
  const text = userData.slice(from + begin.length);
  const end = text.indexOf("END_OF_FILE\n");
  if (from < 0 || end < 0) throw new Error(`the user data writes no ${path}`);
  return text.slice(0, end);
}

const MAKE_STACK = `
import base64, boto3, json, sys, warnings
from moto import mock_aws
warnings.simplefilter("ignore")
template, parameters = open(sys.argv[1]).read(), json.loads(sys.argv[2])
region = "eu-central-1"
with mock_aws():
    ec2, cloud = boto3.client("ec2", region), boto3.client("cloudformation", region)
    vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    subnet = lambda n, zone: ec2.create_subnet(
        VpcId=vpc, CidrBlock=f"10.0.{n}.0/24", AvailabilityZone=region + zone)["Subnet"]["SubnetId"]
    given = {**parameters, "VpcId": vpc, "SubnetA": subnet(1, "a"), "SubnetB": subnet(2, "b")}
    cloud.create_stack(StackName="stack", TemplateBody=template, Capabilities=["CAPABILITY_IAM"],
        Parameters=[{"ParameterKey": key, "ParameterValue": value} for key, value in given.items()])
    resources = cloud.list_stack_resources(StackName="stack")["StackResourceSummaries"]
    template_id = next(r["PhysicalResourceId"] for r in resources if r["ResourceType"] == "AWS::EC2::LaunchTemplate")
    launch = ec2.describe_launch_template_versions(LaunchTemplateId=template_id)["LaunchTemplateVersions"][0]["LaunchTemplateData"]
    groups = ec2.describe_security_groups(GroupIds=launch["SecurityGroupIds"])["SecurityGroups"]
    print(json.dumps({
        "userData": base64.b64decode(launch.pop("UserData")).decode(),
        "launch": launch,
        "inbound": [rule for group in groups for rule in group["IpPermissions"]],
        "resources": [r["ResourceType"] for r in resources if "ResourceType" in r],
    }))
`;
