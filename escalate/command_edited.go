package escalate

import (
	"context"

	"github.com/terraphim/adfbot/escalate/incident"
	"github.com/terraphim/adfbot/escalate/issuetext"
	"github.com/terraphim/adfbot/escalate/tracker"
)

// CommentEdited takes the tracker's word that a comment in the issue of an incident was edited. Its API does not show an
// edit within the second in which the comment was written. Commands in it are not run any more; one that has begun is
// finished.
func (r *Reconciler) CommentEdited(ctx context.Context, i incident.Incident, m tracker.Comment) error {
	if len(r.opt.Commands.Operators) == 0 {
		return nil // nobody gives commands
	}
	cmd := incident.Command{Comment: m.ID, Issue: i.Issue, Incident: i.ID, Project: i.Project, By: m.By, At: m.Created,
		Refused: incident.RefusedEdited, Done: len(parseCommands(m.Body)) == 0 || r.opt.Now().Sub(m.Created) > answerEdited}
	if i.Issue.Number != m.Number { // the incident has another issue, or is not rebuilt yet: there is nowhere to answer
		cmd.Issue, cmd.Done = tracker.IssueRef{Repo: tracker.Repo{Server: r.opt.Server}, Number: m.Number}, true
	}
	if err := r.opt.Commands.State.AcceptCommand(ctx, cmd); err != nil { // it does nothing where the command is stored already
		return err
	}
	_, err := r.opt.Commands.State.ChangeCommand(ctx, cmd, nil, func(stored *incident.Command) error {
		if stored.At.Equal(m.Created) && !stored.Done {
			dropSteps(stored)
		}
		return nil
	})
	return err
}

// dropSteps takes the steps out of a command that have not begun.
func dropSteps(cmd *incident.Command) {
	for n, s := range cmd.Steps {
		switch {
		case s.Begun || s.Answer != "":
		case n == 0:
			cmd.Refused, cmd.Steps = incident.RefusedEdited, nil
			return
		default:
			said := incident.CommandLine{Written: s.Line.Written}
			cmd.Steps = append(cmd.Steps[:n:n], incident.Step{Line: said, Answer: issuetext.EditedMeanwhile()})
			return
		}
	}
}
