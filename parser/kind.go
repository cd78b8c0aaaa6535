package parser

import "github.com/pingcap/tidb/pkg/parser/ast"

// kindOf is the kind of a parsed statement.
func kindOf(node ast.StmtNode) Kind {
	switch n := node.(type) {
	case *ast.SelectStmt, *ast.SetOprStmt:
		return KindSelect
	case *ast.InsertStmt:
		return KindInsert
	case *ast.UpdateStmt:
		return KindUpdate
	case *ast.DeleteStmt:
		return KindDelete
	case *ast.BeginStmt:
		return KindBegin
	case *ast.CommitStmt:
		return KindCommit
	case *ast.RollbackStmt:
		if n.SavepointName != "" {
			return KindSavepoint
		}
		return KindRollback
	case *ast.SavepointStmt, *ast.ReleaseSavepointStmt:
		return KindSavepoint
	case *ast.SetStmt, *ast.SetRoleStmt, *ast.SetDefaultRoleStmt, *ast.SetPwdStmt:
		return KindSet
	case *ast.UseStmt:
		return KindUse
	case *ast.ShowStmt:
		return KindShow
	case *ast.ExplainStmt, *ast.ExplainForStmt:
		return KindExplain
	case *ast.KillStmt:
		return KindKill
	case *ast.LockTablesStmt, *ast.UnlockTablesStmt:
		return KindLock
	case *ast.CallStmt:
		return KindCall
	case *ast.DoStmt:
		return KindDo
	case *ast.PrepareStmt, *ast.ExecuteStmt, *ast.DeallocateStmt:
		return KindPrepare
	case *ast.LoadDataStmt:
		return KindLoad
	case *ast.AnalyzeTableStmt, *ast.OptimizeTableStmt, *ast.RepairTableStmt, *ast.FlushStmt,
		*ast.GrantStmt, *ast.GrantRoleStmt, *ast.GrantProxyStmt, *ast.RevokeStmt, *ast.RevokeRoleStmt,
		*ast.CreateUserStmt, *ast.AlterUserStmt, *ast.DropUserStmt, *ast.RenameUserStmt, *ast.AdminStmt,
		*ast.ShutdownStmt, *ast.RestartStmt, *ast.AlterInstanceStmt:
		return KindAdmin
	case ast.DDLNode:
		return KindDDL
	}
	return KindOther
}
