using System.Linq.Expressions;

namespace MlExperiments.Api.Experiments;

/// <summary>Puts one lambda's parameter in the place of another's, so that their bodies can be joined.</summary>
internal sealed class ParameterReplacement(ParameterExpression from, ParameterExpression to) : ExpressionVisitor
{
    protected override Expression VisitParameter(ParameterExpression node) => node == from ? to : base.VisitParameter(node);
}
